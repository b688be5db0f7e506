"""Measuring: a model's answers to a probe under several schemes, and what they say about spatial bias::

run = bapa.measure.measure(bapa.models.load("reference"), probe, ["native", "bapa"], "RUN")
rich.print(bapa.measure.table(run))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bapa.measure.run import Run, load_run
    from bapa.measure.runner import measure
    from bapa.measure.statistics import Settings
    from bapa.measure.terminal import table
    from bapa.measure.vllm import load_engine

__all__ = ["Run", "Settings", "load_engine", "load_run", "measure", "table"]

_HOME = {
    "Run": "run",
    "Settings": "statistics",
    "load_engine": "vllm",
    "load_run": "run",
    "measure": "runner",
    "table": "terminal",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
