"""Whether a probe can be built on this machine, asked before the work."""

from __future__ import annotations

import psutil

from bapa.errors import ConfigError
from bapa.probe.design import Design

# Bytes while a probe is built, of one picture (what the plan and the parquet writer know of it), of one item and of one
# of its cells. 10,000 items of digits took 254 MiB more than 10: bapa probe digits --items 10000 --out P
_TILE, _ITEM, _CELL = 10_000, 5_000, 100
_CANVASES = 8  # copies of a canvas in memory, the contact sheet's among them


def check_memory(tiles: int, design: Design) -> None:
    """Check that a probe of ``tiles`` pictures and its canvases fit the memory that is free.

    Raises:
        ConfigError: they do not.
    """
    items = design.items or tiles
    height, width = design.canvas
    canvas = 3 * height * width
    needed = tiles * _TILE + items * (_ITEM + design.cells * _CELL) + _CANVASES * canvas
    free = psutil.virtual_memory().available
    if needed > free:
        raise ConfigError(
            f"{items:,} items on canvases of {width} x {height} px need about "
            f"{needed / 2**30:,.1f} GiB of memory, {free / 2**30:,.1f} GiB are free; ask for fewer: --items NUMBER, or "
            "for smaller cells: --cell PIXELS"
        )
