"""Measuring: a model's answers to a probe under several schemes, and what they say about spatial bias::

run = bapa.measure.measure(bapa.checkpoints.load("reference"), probe, ["native", "bapa"], "RUN")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bapa.measure.run import Run, load_run
    from bapa.measure.runner import measure

__all__ = ["Run", "load_run", "measure"]

_HOME = {"Run": "run", "load_run": "run", "measure": "runner"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
