"""One colour scale for every map of a report: viridis for rates, orange to purple for differences.

Viridis is perceptually uniform and keeps its order for colour-blind readers and in grey print (van der Walt and Smith,
SciPy 2015); PuOr is ColorBrewer's diverging scale that needs neither red nor green.
"""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib import colormaps
from matplotlib.colors import to_hex


@dataclass(frozen=True)
class Scale:
    """Colours for numbers between ``low`` and ``high``."""

    name: str
    low: float
    high: float

    def fill(self, value: float) -> str:
        """The colour of ``value`` as ``#rrggbb``; numbers beyond the ends take the end's colour."""
        return to_hex(colormaps[self.name]((value - self.low) / (self.high - self.low)))

    def ink(self, value: float) -> str:
        """Black or white, whichever reads better on ``fill(value)`` (WCAG 2.2, relative luminance)."""
        channels = [int(self.fill(value)[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        return "#000000" if luminance > 0.179 else "#ffffff"

    def stops(self, count: int = 11) -> list[tuple[float, str]]:
        """``count`` evenly spaced (fraction along the scale, colour) pairs, for a legend."""
        steps = [i / (count - 1) for i in range(count)]
        return [(step, self.fill(self.low + step * (self.high - self.low))) for step in steps]


RATE = Scale("viridis", 0.0, 1.0)
DIFFERENCE = Scale("PuOr", -1.0, 1.0)
