"""The currency of the probe room: one captioned picture at the size it has in a cell."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_LONGEST = 300  # characters of a name in a message


@dataclass(frozen=True, eq=False)
class Tile:
    """A captioned picture, ready to be laid into a cell.

    ``image``: uint8 (height, width, 3), no side longer than the cell's; or, where a window is to move over the picture
    that the target stands in, all that it may show. ``where``: what to call it in messages (a path,
    a row, a scan). ``attributes``: what else the source says about it, e.g. ``digit`` and ``colour``, or ``question``
    and ``answer``. ``also``: further captions that are true of it, so that none is asked about as absent.
    """

    image: NDArray[np.uint8]
    caption: str
    where: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the picture's size and pixels."""
        pixels = np.ascontiguousarray(self.image)
        return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()


@dataclass(frozen=True)
class LeftOut:
    """A picture of the source that the probe does without, and why."""

    where: str
    reason: str

    def __str__(self) -> str:
        where = self.where if len(self.where) <= _LONGEST else f"{self.where[: _LONGEST - 3]}..."
        return f"{where}: {self.reason}"


def caption_key(caption: str) -> str:
    """What two captions must share to count as the same: their words, whatever the case and spacing."""
    return " ".join(caption.casefold().split())
