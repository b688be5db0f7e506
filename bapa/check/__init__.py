"""From nothing to a decision: is this model biased, where does it come from, and what is to be done about it?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bapa.check.runner import Check, check, load_check

__all__ = ["Check", "check", "load_check"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("bapa.check.runner"), name)
