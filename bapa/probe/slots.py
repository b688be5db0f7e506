"""Where a target may stand: cells of a grid, images of a prompt, frames of a clip, regions of a page, scene places; or
at which size or aspect ratio, in the middle of one picture.

One number tells a slot, whatever its kind: 0 to ``count - 1``, in reading order. Answers, statistics and tables number
them so, under the name ``cell``: a cell is a slot of a grid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from bapa.errors import ConfigError

Kind = Literal["grid", "images", "frames", "page", "scene", "crop", "sizes", "aspects"]
KINDS: tuple[str, ...] = get_args(Kind)
MOST = 12  # slots in a line
_LINES = ("images", "frames", "sizes", "aspects")
_SMALLEST = 1 / 4  # of sizes: side of the smallest target, the largest being as large as the picture
_WIDEST = 2.0  # of aspect ratios: width by height of the widest; the narrowest has the inverse

_WORDS: dict[Kind, tuple[str, str]] = {
    "grid": ("cell", "cells"),
    "images": ("image", "images"),
    "frames": ("frame", "frames"),
    "page": ("region", "regions"),
    "scene": ("place", "places"),
    "crop": ("place", "places"),
    "sizes": ("size", "sizes"),
    "aspects": ("aspect ratio", "aspect ratios"),
}
_CELL = re.compile(r"\b([Cc])ell(s?)\b")
_PLACE = re.compile(r"\b([Tt])he place\b")
_ACCEPTED = (
    f"accepted are grid, page, scene and crop, and with N from 2 to {MOST} images:N (images of one prompt), frames:N "
    "(stills of one clip), sizes:N and aspects:N (of the target in one picture)"
)


@dataclass(frozen=True)
class Slots:
    """The slots of a probe. ``rows``, ``cols``: how they stand when they are drawn; images, frames, sizes and aspect
    ratios stand in one row. Slot ``row * cols + col`` is the one in that row and column, counted from the top left.
    """

    kind: Kind
    rows: int
    cols: int

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Slots:
        """What a record says: ``rows``, ``cols`` and, where it is no grid, ``slots``."""
        kind, _ = parse(told.get("slots"))
        return cls(kind, told["rows"], told["cols"])

    @property
    def count(self) -> int:
        """Number of slots."""
        return self.rows * self.cols

    @property
    def line(self) -> bool:
        """Whether they are drawn in one row, each under its number."""
        return self.kind in _LINES

    @property
    def apart(self) -> bool:
        """Whether they are pictures of their own, which a model is shown all at once."""
        return self.kind in ("images", "frames")

    @property
    def varied(self) -> bool:
        """Whether the target stays in the middle of one picture and changes itself."""
        return self.kind in ("sizes", "aspects")

    def box(self, slot: int) -> tuple[float, float, float, float]:
        """Where a target fills its slot: left, top, width and height as shares of the canvas."""
        if self.varied:
            wide, high = self.scale(slot)
            return (1 - wide) / 2, (1 - high) / 2, wide, high
        row, col = divmod(slot, self.cols)
        return col / self.cols, row / self.rows, 1 / self.cols, 1 / self.rows

    def scale(self, slot: int) -> tuple[float, float]:
        """Width and height of a target that changes itself, against those at which it fills the picture: sizes from a
        quarter to the whole, aspect ratios (of a square) from 1:2 to 2:1, all in equal ratios.
        """
        if self.kind == "sizes":
            side = _SMALLEST ** (1 - slot / (self.cols - 1))
            return side, side
        ratio = self._ratio(slot)
        return (ratio / _WIDEST) ** 0.5, (1 / ratio / _WIDEST) ** 0.5

    def _ratio(self, slot: int) -> float:
        return _WIDEST ** round(2 * slot / (self.cols - 1) - 1, 9)

    @property
    def label(self) -> str | None:
        """As people type it, ``images:8``; None for a grid, which records do not name."""
        return None if self.kind == "grid" else f"{self.kind}:{self.cols}" if self.line else self.kind

    @property
    def record(self) -> dict[str, str]:
        """What a record says of it beside rows and columns: nothing of a grid."""
        return {} if self.label is None else {"slots": self.label}

    @property
    def word(self) -> str:
        """One slot: cell, image, frame, region, place, size or aspect ratio."""
        return _WORDS[self.kind][0]

    @property
    def words(self) -> str:
        """Several of them."""
        return _WORDS[self.kind][1]

    @property
    def size(self) -> str:
        """How many there are, in words: ``3 x 3 cells``, ``8 images``."""
        return f"{self.cols} {self.words}" if self.line else f"{self.rows} x {self.cols} {self.words}"

    def name(self, slot: int) -> str:
        """``row 1, column 2``, ``image 3``: counted from 1; ``size 35 %``, ``aspect ratio 1:2``."""
        if self.kind == "sizes":
            return f"size {100 * self.scale(slot)[0]:.0f} %"
        if self.kind == "aspects":
            ratio = self._ratio(slot)
            return f"aspect ratio {f'{ratio:.3g}:1' if ratio >= 1 else f'1:{1 / ratio:.3g}'}"
        if self.line:
            return f"{self.word} {slot + 1}"
        row, col = divmod(slot, self.cols)
        return f"row {row + 1}, column {col + 1}"

    def sign(self, slot: int) -> str:
        """What stands above a slot in a row: its number, ``35 %`` or ``1:2``."""
        return self.name(slot).removeprefix(f"{self.word} ")

    def where(self, slot: int) -> str:
        """Where a slot is, as people say it: ``in image 3``, ``at the bottom right``, ``in row 2, column 5``, ``at size
        35 %``.
        """
        if self.varied:
            return f"at {self.name(slot)}"
        if self.line:
            return f"in {self.name(slot)}"
        lines = {1: ("",), 2: ("top", "bottom"), 3: ("top", "middle", "bottom")}.get(self.rows)
        sides = {1: ("",), 2: ("left", "right"), 3: ("left", "centre", "right")}.get(self.cols)
        if lines is None or sides is None:
            return f"in {self.name(slot)}"
        row, col = divmod(slot, self.cols)
        spoken = " ".join(filter(None, (lines[row], sides[col])))
        return f"at the {spoken}".replace("middle centre", "very centre")

    def say(self, text: str) -> str:
        """A text about cells, about the slots of this kind: ``the worst cell`` is ``the worst image``, and where the
        target changes itself, ``the place matters`` is ``the size matters``.
        """
        if self.kind == "grid":
            return text

        def own(found: re.Match[str]) -> str:
            word = _WORDS[self.kind][len(found[2])]
            return word.capitalize() if found[1] == "C" else word

        text = _CELL.sub(own, text)
        return _PLACE.sub(rf"\1he {self.word}", text) if self.varied else text


def parse(text: str | None) -> tuple[Kind, int | None]:
    """Kind and number of ``images:8``; None is a grid. The number is None where the kind takes none.

    Raises:
        ConfigError: no such slots.
    """
    if text is None:
        return "grid", None
    kind, _, number = text.partition(":")
    count = int(number) if re.fullmatch("[0-9]{1,3}", number) else None
    if kind in _LINES and count is not None and 2 <= count <= MOST:
        return kind, count  # type: ignore[return-value]
    if kind in KINDS and kind not in _LINES and ":" not in text:
        return kind, None  # type: ignore[return-value]
    raise ConfigError(f"slots = {text!r}: {_ACCEPTED}")
