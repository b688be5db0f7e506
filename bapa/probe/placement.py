"""Where the target and the others stand when the target is moved to a cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

Placement = Literal["swap", "latin", "insertion"]
PLACEMENTS: tuple[str, ...] = get_args(Placement)

EMPTY = -1
"""Stands for a cell without a tile."""


def arrange(layout: Sequence[int], home: int, cell: int, placement: Placement) -> list[int]:
    """The tiles of all cells, row by row, with the target moved to ``cell``.

    Args:
        layout: the item's tiles in row-major order, the target among them.
        home: where the target stands in ``layout``.
        cell: where it shall stand.
        placement: ``swap`` exchanges the target with the tile at ``cell``: all others stay put. ``latin`` shifts the
            whole layout around cyclically, so that over all cells each distractor visits each cell once. ``insertion``
            takes the target out and puts it back in at ``cell``, which shifts every tile between (the order of the
            released samples of arXiv 2509.21984; for reproduction only: it mixes the target's place with that of the
            distractors).
    """
    tiles = list(layout)
    if placement == "swap":
        tiles[home], tiles[cell] = tiles[cell], tiles[home]
    elif placement == "latin":
        shift = (home - cell) % len(tiles)
        tiles = tiles[shift:] + tiles[:shift]
    else:
        tiles.insert(cell, tiles.pop(home))
    return tiles


def partner(item: int, home: int, cells: int) -> int:
    """Index in the layout of the tile that reading order is asked about beside the target; another in every item."""
    return (home + 1 + item % (cells - 1)) % cells
