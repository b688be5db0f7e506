"""Which cells of a probe hold whole image tokens of a given model.

A cell that shares tokens with its neighbours gives the encoder other features wherever it stands: a shift by less than
a token is a factor of its own and must not be taken for an effect of the place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bapa.errors import ConfigError, ModelError
from bapa.families.facts import JOINED, squares


@dataclass(frozen=True)
class Tokens:
    """What one image token covers: ``pixels`` x ``pixels`` of the picture as the encoder sees it. ``side``: pixels of
    the one square size the encoder takes, to which any other canvas would be resized; None where it takes all sizes.
    """

    pixels: int
    side: int | None

    def cell(self, rows: int, cols: int, wanted: int | None) -> int | None:
        """Side of the cells, in pixels, of a ``rows`` x ``cols`` canvas that reaches the encoder as it is; ``wanted``
        where any whole number of tokens will do.

        Raises ConfigError where cells cannot be whole tokens, or ``wanted`` is not the side they must have.
        """
        if self.side is None:
            return wanted
        tokens = self.side // self.pixels
        whole = [n for n in range(2, 13) if tokens % n == 0]
        if rows != cols or rows not in whole:
            raise ConfigError(
                f"{rows} x {cols} cells are not whole tokens of a model that sees a square of {tokens} x {tokens}; "
                f"use as many rows as columns: {', '.join(map(str, whole)) or 'no number up to 12 will do'}"
            )
        cell = self.side // rows
        if wanted not in (None, cell):
            raise ConfigError(
                f"cells of {wanted} px make a canvas that the model resizes to {self.side} px; use --cell {cell}"
            )
        return cell


def tokens(config: Any, images: Any = None) -> Tokens:
    """The image tokens of the model with this ``config``, whose processor of images is ``images``.

    Raises ModelError where they do not tell.
    """
    vision = getattr(config, "vision_config", None)
    side, patch = (_whole(getattr(vision, name, None)) for name in ("image_size", "patch_size"))
    side = side or _square(images)
    merge = _whole(getattr(vision, "spatial_merge_size", None)) or _whole(getattr(config, "spatial_merge_size", None))
    if patch and merge:  # encoders of any size, whose tokens join merge x merge patches
        return Tokens(patch * merge, None)
    tiled = config.model_type in JOINED or hasattr(config, "image_grid_pinpoints")  # resized before it is cut up
    counts = sorted(count for count in squares(config) if math.isqrt(count) ** 2 == count)
    if side and counts and not tiled and side % math.isqrt(counts[0]) == 0:
        return Tokens(side // math.isqrt(counts[0]), side)
    raise ModelError(
        f"the config of a {config.model_type} does not tell how many pixels one image token covers; "
        "give the number yourself: --patch 28"
    )


def _square(images: Any) -> int | None:
    """Side in pixels of the one square that a processor makes of every picture; None where it does not."""
    size = dict(getattr(images, "crop_size" if getattr(images, "do_center_crop", None) else "size", None) or {})
    height, width = size.get("height"), size.get("width")
    return height if isinstance(height, int) and height == width else None


def _whole(value: Any) -> int | None:
    first = value[0] if isinstance(value, list | tuple) and value else value
    return first if isinstance(first, int) else None
