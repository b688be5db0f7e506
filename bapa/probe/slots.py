"""Where a target may stand: cells of a grid, images of a prompt, frames of a clip, regions of a page, scene places.

One number tells a slot, whatever its kind: 0 to ``count - 1``, in reading order. Answers, statistics and tables number
them so, under the name ``cell``: a cell is a slot of a grid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from bapa.errors import ConfigError

Kind = Literal["grid", "images", "frames", "page", "scene"]
KINDS: tuple[str, ...] = get_args(Kind)
MOST = 12  # slots in a line

_WORDS: dict[Kind, tuple[str, str]] = {
    "grid": ("cell", "cells"),
    "images": ("image", "images"),
    "frames": ("frame", "frames"),
    "page": ("region", "regions"),
    "scene": ("place", "places"),
}
_CELL = re.compile(r"\b([Cc])ell(s?)\b")
_ACCEPTED = (
    f"accepted are grid, page and scene, images:N (N images of one prompt, 2 to {MOST}) and frames:N (N stills of one "
    f"clip, 2 to {MOST})"
)


@dataclass(frozen=True)
class Slots:
    """The slots of a probe. ``rows``, ``cols``: how they stand when they are drawn; images and frames stand in one
    row. Slot ``row * cols + col`` is the one in that row and column, counted from the top left.
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
        """Whether the slots are pictures of their own, one after the other."""
        return self.kind in ("images", "frames")

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
        """One slot: cell, image, frame, region or place."""
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
        """``row 1, column 2``, ``image 3``: counted from 1."""
        if self.line:
            return f"{self.word} {slot + 1}"
        row, col = divmod(slot, self.cols)
        return f"row {row + 1}, column {col + 1}"

    def where(self, slot: int) -> str:
        """Where a slot is, as people say it: ``in image 3``, ``at the bottom right``, ``in row 2, column 5``."""
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
        """A text about cells, about the slots of this kind: ``the worst cell`` is ``the worst image``."""
        if self.kind == "grid":
            return text

        def own(found: re.Match[str]) -> str:
            word = _WORDS[self.kind][len(found[2])]
            return word.capitalize() if found[1] == "C" else word

        return _CELL.sub(own, text)


def parse(text: str | None) -> tuple[Kind, int | None]:
    """Kind and number of ``images:8``; None is a grid. The number is None where the kind takes none.

    Raises:
        ConfigError: no such slots.
    """
    if text is None:
        return "grid", None
    kind, _, number = text.partition(":")
    count = int(number) if re.fullmatch("[0-9]{1,3}", number) else None
    if kind in ("images", "frames") and count is not None and 2 <= count <= MOST:
        return kind, count  # type: ignore[return-value]
    if kind in KINDS and kind not in ("images", "frames") and ":" not in text:
        return kind, None  # type: ignore[return-value]
    raise ConfigError(f"slots = {text!r}: {_ACCEPTED}")
