"""Putting a canvas together: copies of pixels only, so that it comes out the same on every machine."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def ground(height: int, width: int, colour: tuple[int, int, int]) -> Pixels:
    """An empty canvas of one colour, uint8 (height, width, 3)."""
    return np.tile(np.array(colour, np.uint8), (height, width, 1))


def compose(canvas: Pixels, tiles: Iterable[Pixels | None], cols: int, cell: int) -> Pixels:
    """A copy of ``canvas`` with the tiles centred in its cells.

    Args:
        canvas: uint8 (rows * cell, cols * cell, 3).
        tiles: row by row, each uint8 (height, width, 3) with no side longer than ``cell``; None leaves the cell empty.
        cols: cells in a row.
        cell: side of a cell in pixels.
    """
    canvas = canvas.copy()
    for index, tile in enumerate(tiles):
        if tile is None:
            continue
        height, width, _ = tile.shape
        row, col = divmod(index, cols)
        top, left = row * cell + (cell - height) // 2, col * cell + (cell - width) // 2
        canvas[top : top + height, left : left + width] = tile
    return canvas
