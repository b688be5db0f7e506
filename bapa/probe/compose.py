"""Putting a canvas together: copies of pixels only, so that it comes out the same on every machine."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def ground(height: int, width: int, colour: tuple[int, int, int]) -> Pixels:
    """An empty canvas of one colour, uint8 (height, width, 3)."""
    return np.tile(np.array(colour, np.uint8), (height, width, 1))


def compose(canvas: Pixels, tiles: Iterable[Pixels | None], cols: int, cell: int, tall: int = 0) -> Pixels:
    """A copy of ``canvas`` with the tiles centred in its cells.

    Args:
        canvas: uint8 (rows * tall, cols * cell, 3).
        tiles: row by row, each uint8 (height, width, 3) no wider than ``cell`` and no higher than ``tall``, or (height,
            width, 4) with its opacity; None leaves the cell empty.
        cols: cells in a row.
        cell: width of a cell in pixels.
        tall: its height; 0: as much as its width.
    """
    canvas, tall = canvas.copy(), tall or cell
    for index, tile in enumerate(tiles):
        if tile is None:
            continue
        height, width, channels = tile.shape
        row, col = divmod(index, cols)
        top, left = row * tall + (tall - height) // 2, col * cell + (cell - width) // 2
        here = canvas[top : top + height, left : left + width]
        here[:] = tile if channels == 3 else over(here, tile)
    return canvas


def scaled(tile: Pixels, width: int, height: int) -> Pixels:
    """A picture, uint8 (height, width, channels), at another size: each pixel the mean of the area that it covers."""
    tall, wide, channels = tile.shape
    if (wide, tall) == (width, height):
        return tile
    rows = _weights(tall, height) @ tile.reshape(tall, -1).astype(np.float64)
    turned = rows.reshape(height, wide, channels).swapaxes(1, 2).reshape(-1, wide)
    sums = (turned @ _weights(wide, width).T).reshape(height, channels, width).swapaxes(1, 2)
    return np.floor((sums + tall * wide // 2) / (tall * wide)).astype(np.uint8)


def _weights(of: int, to: int) -> NDArray[np.float64]:
    """By how much each of ``of`` pixels counts in each of ``to``, (to, of); whole numbers, of which float64 makes exact
    sums in any order.
    """
    ends, starts = np.arange(1, to + 1)[:, None] * of, np.arange(to)[:, None] * of
    here = np.arange(of)[None] * to
    return np.clip(np.minimum(ends, here + to) - np.maximum(starts, here), 0, None).astype(np.float64)


def over(below: Pixels, tile: Pixels) -> Pixels:
    """A picture with its opacity, uint8 (height, width, 4), on another, (height, width, 3): the same everywhere."""
    region, picture = Image.fromarray(below), Image.fromarray(tile)
    region.paste(picture, mask=picture)  # Pillow mixes in whole numbers
    return np.asarray(region)
