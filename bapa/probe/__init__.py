"""Probes: the same picture content asked about in every cell of a grid.

A probe on disk is a manifest and its tiles. Canvases are composed when they are read, the same pixels everywhere::

    probe = bapa.probe.build("digits", "P")     # or bapa.probe.Probe.load("P")
    for item in probe.items:
        for cell in range(probe.cells):
            canvas = probe.compose(item, cell)  # uint8 (height, width, 3)
            for question in probe.questions(item, cell):
                ...
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bapa.probe.builder import build
    from bapa.probe.design import Design
    from bapa.probe.item import Item
    from bapa.probe.questions import Question
    from bapa.probe.rendering import render
    from bapa.probe.source import Columns
    from bapa.probe.store import Probe
    from bapa.probe.tile import LeftOut, Tile

__all__ = ["Columns", "Design", "Item", "LeftOut", "Probe", "Question", "Tile", "build", "render"]

_HOME = {
    "Columns": "source",
    "Design": "design",
    "Item": "item",
    "LeftOut": "tile",
    "Probe": "store",
    "Question": "questions",
    "Tile": "tile",
    "build": "builder",
    "render": "rendering",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
