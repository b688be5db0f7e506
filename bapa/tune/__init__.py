"""Tuning: training a model, or an adapter on it, while it runs under a scheme::

data = bapa.tune.read("chats.jsonl")
bapa.tune.tune(bapa.checkpoints.load("llava-hf/llava-1.5-7b-hf"), data, "OUT", scheme="bapa")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bapa.tune.data import Data, read
    from bapa.tune.settings import Settings
    from bapa.tune.train import tune

__all__ = ["Data", "Settings", "read", "tune"]

_HOME = {"Data": "data", "Settings": "settings", "read": "data", "tune": "train"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
