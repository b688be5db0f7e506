"""The one picture reader: every door of bapa shows a model the same pixels of the same file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bapa.probe.compose import Pixels

_DEEP = 65535  # white of a picture with 16 bits a channel


class UnusableError(Exception):
    """Why one picture or one row of a source cannot be used; whoever reads the source lists it."""


def read(data: Path | bytes, side: int | None = None, *, clear: bool = False) -> Image.Image:
    """A picture as :func:`plain` makes it.

    ``side``: no more than a square of so many pixels is needed, so that a large JPEG may be decoded at a fraction of
    its size.

    Raises:
        UnusableError: it cannot be read.
    """
    with _opened(data) as picture:
        if side:
            picture.draft("RGB", (2 * side, 2 * side))
        return plain(picture, clear=clear)


def check(data: Path | bytes) -> None:
    """Look at the head of a picture, without decoding it.

    Raises:
        UnusableError: it is none, or too large to be read.
    """
    with _opened(data):
        pass


@contextmanager
def _opened(data: Path | bytes) -> Iterator[Image.Image]:
    """A picture while it is read; UnusableError for whatever goes wrong."""
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as picture:
            yield picture
    except UnusableError:
        raise
    except FileNotFoundError:
        raise UnusableError("no such file") from None
    except UnidentifiedImageError:
        raise UnusableError("not a readable picture: unknown format") from None
    except Exception as error:  # decoders and EXIF readers raise whatever they like; it costs this picture only
        raise UnusableError(f"not a readable picture: {' '.join(str(error).split()) or type(error).__name__}") from None


def read_picture(data: Path | bytes, side: int, *, clear: bool = False) -> Pixels:
    """A picture scaled to fit a square of ``side`` pixels, uint8 (height, width, 3). ``clear``: where it is transparent
    it stays so, (height, width, 4).

    Raises:
        UnusableError: it cannot be read.
    """
    picture = read(data, side, clear=clear)
    try:
        return np.asarray(ImageOps.contain(picture, (side, side), Image.Resampling.LANCZOS))
    except ValueError:  # a side would have no pixel left
        raise UnusableError(f"{picture.width} x {picture.height} px do not fit a cell of {side} px") from None


def read_around(data: Path | bytes, box: Any, side: int, size: tuple[int, int]) -> Pixels:
    """What surrounds a target in its own picture, uint8 (*size, 3), the target in the middle and no longer than
    ``side``; smaller ones are not enlarged.

    Args:
        data: the picture.
        box: where the target stands in it: left, top, width and height in pixels, a list or the JSON of one.
        side: of a cell, in pixels.
        size: height and width of what is wanted, in pixels.

    Raises:
        UnusableError: it cannot be read, the box is none, or the picture ends too near to it.
    """
    try:
        told = json.loads(box) if isinstance(box, str) else box
        left, top, width, height = (float(number) for number in told)
    except (TypeError, ValueError):
        raise UnusableError(f"its box is {box!r}; write [left, top, width, height] in pixels") from None
    picture = read(data)
    inside = 0 <= left < left + width <= picture.width and 0 <= top < top + height <= picture.height
    if not inside:  # not a number fails too
        raise UnusableError(f"its box {box!r} does not lie in its {picture.width} x {picture.height} px")
    scale = max(1.0, max(width, height) / side)
    far, high = size[1] * scale / 2, size[0] * scale / 2
    x, y = left + width / 2, top + height / 2
    room = min(x - far, picture.width - x - far, y - high, picture.height - y - high)
    if room < 0:
        smaller = f"; take cells of fewer than {side} px: --cell N" if max(width, height) < side else ""
        raise UnusableError(
            "a window in which its box visits every place needs "
            f"{-room:.0f} px more of the picture than there are{smaller}"
        )
    part = picture.resize((size[1], size[0]), Image.Resampling.LANCZOS, (x - far, y - high, x + far, y + high))
    return np.asarray(part)


def plain(picture: Image.Image, *, clear: bool = False) -> Image.Image:
    """A picture in RGB: upright as its EXIF says, transparency on white, 16 bits and fractions scaled to 8 bits.
    ``clear``: what is transparent stays so, in RGBA.

    Raises:
        UnusableError: its values do not say what is white.
    """
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
        return _eight_bits(upright).convert("RGB")
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        if clear:
            return upright
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
    return upright.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of one deep channel in 8 bits: Pillow's own ``convert`` cuts off everything above 255."""
    values = np.asarray(picture).astype(np.float64)
    low, high = values.min(), values.max()
    white = {"F": 1 if high <= 1 else 255}.get(picture.mode, _DEEP)
    if not (low >= 0 and high <= white):  # not a number fails both
        raise UnusableError(
            f"its values run from {low:g} to {high:g}; save it with 8 or 16 bits a channel, or with fractions from 0 "
            "to 1"
        )
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))
