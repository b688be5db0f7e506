"""Reports over run folders: one self-contained HTML page, and heat maps on one colour scale."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bapa.report.writer import write

__all__ = ["write"]


def __getattr__(name: str) -> object:
    if name == "write":
        return import_module("bapa.report.writer").write
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
