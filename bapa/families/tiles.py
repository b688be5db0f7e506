"""How a picture shown as a thumbnail and tiles is laid out, where a model's inputs tell it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from torch import Tensor
from transformers.image_processing_utils import select_best_resolution

from bapa.layout import Grid, Image, View

# Thumbnail first, then the tiles joined to one picture without its padding, every row with an end: LLaVA-NeXT's way.
ANYRES = {"llava_next", "llava_next_video", "llava_onevision", "granite4_vision"}

# Every tile behind a tag, more tokens between after a row of tiles, the thumbnail last: Idefics3's way.
TAGGED = {"granite_docling", "idefics3", "smolvlm"}


def anyres(config: Any, size: Sequence[int], tokens: int | None = None) -> tuple[View, ...]:
    """The views of a picture of ``size``, height and width in pixels; none where it does not fill ``tokens``."""
    pixels, side = config.vision_config.image_size, _side(config)
    height, width = (
        side * (best // pixels) for best in select_best_resolution(list(size), config.image_grid_pinpoints)
    )
    if size[1] / size[0] > width / height:
        height -= (height - int(round(size[0] * width / size[1], 7))) // 2 * 2
    else:
        width -= (width - int(round(size[1] * height / size[0], 7))) // 2 * 2
    most = str(getattr(config, "vision_aspect_ratio", "")).rpartition("anyres_max_")[2]  # LLaVA-OneVision shrinks to it
    if most.isdigit() and (ratio := math.sqrt(height * width / (int(most) * side**2))) > 1.1:
        height, width = int(height // ratio), int(width // ratio)
    views = (View(Grid(side, side)), View(Grid(height, width), row_ends=True))
    return views if tokens in (None, sum(map(len, views))) else ()


def thumbnail(config: Any) -> int:
    """Tokens of a picture of which only the thumbnail is shown, its end included (LLaVA-OneVision, several images)."""
    return _side(config) ** 2 + 1


def packed(config: Any, features: Tensor, row_end: Tensor) -> tuple[View, ...]:
    """The same from a picture's features, (tokens, channels), when its size is no longer told (generation encodes
    pictures first): the learned feature ``row_end`` stands behind every row.
    """
    side = _side(config)
    ends = (features == row_end.to(features)).all(-1).nonzero().flatten()
    if not len(ends):
        return ()
    views = (View(Grid(side, side)), View(Grid(len(ends), int(ends[0]) - side**2), row_ends=True))
    return views if sum(map(len, views)) == len(features) else ()


def _side(config: Any) -> int:
    patches = config.vision_config.image_size // config.vision_config.patch_size
    return int(patches * Fraction(getattr(config, "downsample_rate", 1)))


def tagged(image: Image) -> tuple[View, ...]:
    """The views of a picture in tiles behind tags, from the tokens between them; none where they do not tell."""
    cuts = (image.columns.diff() > 1).nonzero().flatten()
    tiles = len(cuts)
    tokens = len(image) // (tiles + 1)
    side = math.isqrt(tokens)
    if side * side * (tiles + 1) != len(image) or bool(((cuts + 1) % tokens != 0).any()):
        return ()
    rows = int((image.columns.diff()[cuts] > 3).sum())  # a tag takes two tokens, a row end one or two more
    if tiles and (not rows or tiles % rows):
        return ()
    cols = tiles // rows if tiles else 0
    shown = [View(Grid(side, side), Grid(rows, cols), row, col) for row in range(rows) for col in range(cols)]
    return (*shown, View(Grid(side, side)))


def per_tile(pixels: Any, runs: Sequence[int]) -> list[int]:
    """Token count of every tile, where ``runs`` of image tokens hold whole tiles of one size; else nothing."""
    if not isinstance(pixels, Tensor) or pixels.dim() != 4 or not len(pixels) or sum(runs) % len(pixels):
        return []
    size = sum(runs) // len(pixels)
    return [size] * len(pixels) if all(run % size == 0 for run in runs) else []
