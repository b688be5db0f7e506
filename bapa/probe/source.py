"""Where captioned pictures come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from bapa.probe.design import Design
from bapa.probe.tile import LeftOut, Tile


@dataclass(frozen=True)
class Columns:
    """Which columns of a source hold what; ``image`` is ``file_name`` in a folder and ``image`` elsewhere.

    ``group`` names a column whose equal values make two pictures near misses of each other (e.g. a class); without it,
    similar captions do. ``box``: with the slots ``crop``, a column that tells where the target stands in its picture,
    ``[left, top, width, height]`` in pixels.
    """

    image: str | None = None
    caption: str = "caption"
    group: str | None = None
    question: str = "question"
    answer: str = "answer"
    box: str | None = None


class Source(Protocol):
    """Captioned pictures in an order drawn from the design's seed.

    ``group`` is the attribute that near misses share, if there is one; ``read`` how many rows gave the tiles so far.
    """

    group: str | None

    @property
    def read(self) -> int: ...

    def filled(self, design: Design) -> Design:
        """The design with what suits this source where nothing was chosen."""

    def wanted(self, design: Design) -> int:
        """How many tiles serve the design; reading stops there."""

    def describe(self) -> dict[str, Any]:
        """What the source was asked for by."""

    def stamp(self, design: Design, read: int) -> str:
        """SHA-256 of the pictures and words of the first ``read`` rows that the design visits: another one where any of
        them has changed. Pictures need not be decoded for it.
        """

    def backdrops(self, design: Design) -> Iterator[Tile]:
        """What stands behind the pictures, where the source makes it itself: of any size, in the canvas's shape."""

    def tiles(self, design: Design) -> Iterator[Tile | LeftOut]:
        """The pictures one by one, no side longer than ``design.cell``, or as large as ``design.backdrop``."""


def pool_size(items: int, design: Design) -> int:
    """Pictures that give ``items`` targets a varied company."""
    return 2 * items + 2 * design.cells
