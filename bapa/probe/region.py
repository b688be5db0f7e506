"""Where a target stands, as the right answer to a question that asks to point."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bapa.probe.design import Design

_WRITTEN = re.compile(r"(\d+),(\d+),(\d+),(\d+) of (\d+)x(\d+)")


@dataclass(frozen=True)
class Region:
    """A cell in pixels, in a canvas of ``width`` x ``height``. Written ``24,0,48,24 of 72x72``: left, top, right,
    bottom; :meth:`read` reads it back.
    """

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int

    @classmethod
    def of(cls, design: Design, cell: int) -> Region:
        """The region of ``cell``, counted in reading order."""
        row, col = divmod(cell, design.cols)
        wide, tall = design.cell or 0, design.tall
        left, top = col * wide, row * tall
        return cls(left, top, left + wide, top + tall, design.cols * wide, design.rows * tall)

    @classmethod
    def read(cls, text: str) -> Region | None:
        """The region that a text tells; None where it tells none."""
        found = _WRITTEN.fullmatch(text)
        return cls(*map(int, found.groups())) if found else None

    def __str__(self) -> str:
        return f"{self.left},{self.top},{self.right},{self.bottom} of {self.width}x{self.height}"

    @property
    def shares(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom as shares of the canvas's width and height."""
        return (
            self.left / self.width,
            self.top / self.height,
            self.right / self.width,
            self.bottom / self.height,
        )

    def offset(self, x: float, y: float) -> tuple[float, float]:
        """How far right of and below its middle a place lies, in cells; ``x``, ``y``: shares of the canvas."""
        across = (x * self.width - (self.left + self.right) / 2) / (self.right - self.left)
        down = (y * self.height - (self.top + self.bottom) / 2) / (self.bottom - self.top)
        return across, down
