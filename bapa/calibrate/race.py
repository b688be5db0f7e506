"""Racing dials on calibration items: hopeless ones leave early, the rest go on (successive halving).

After Jamieson and Talwalkar 2016 (AISTATS): every round doubles the items and halves the dials, so that a round costs
about as much as the one before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bapa.stats.trials import Array

FIRST = 2  # items of the first round


@dataclass(frozen=True)
class Score:
    """A dial's score over the items it was asked about. ``error``: its standard error, over items."""

    mean: float
    error: float
    items: int

    @property
    def safe(self) -> float:
        """What dials are ranked by in the end: the mean less its standard error."""
        return self.mean - self.error


def score(values: Array) -> Score:
    """The score of one dial from its items' values, (items,) float64. Of one item the error counts as one half."""
    n = len(values)
    return Score(float(values.mean()), float(values.std(ddof=1) / math.sqrt(n)) if n > 1 else 0.5, n)


def rounds(items: int) -> Iterator[tuple[int, int]]:
    """First and past-the-last item of each round: 2, then as many again, then twice as many ..."""
    start, stop = 0, min(FIRST, items)
    while start < items:
        yield start, stop
        start, stop = stop, min(items, 2 * stop) if 2 * stop < 0.75 * items else items


def survivors(values: Mapping[str, Array], kept: Sequence[str], least: int) -> list[str]:
    """The better half of the dials, at least ``least`` of them and in their order, with those of ``kept``."""
    free = [dial for dial in values if dial not in kept]
    best = sorted(free, key=lambda dial: -float(values[dial].mean()))[: max(least, math.ceil(len(free) / 2))]
    return [dial for dial in values if dial in best or dial in kept]


def winner(values: Mapping[str, Array], simpler: Sequence[str]) -> str:
    """The dial with the best ``safe`` score among those asked about most items; where it ties with one of
    ``simpler``, the first such.

    A tie: over the same items the winner is ahead by no more than the standard error of the difference (the
    one-standard-error rule of Breiman et al. 1984).
    """
    most = max(map(len, values.values()))
    full = {dial: found for dial, found in values.items() if len(found) == most}
    best = max(full, key=lambda dial: score(full[dial]).safe)
    return next((dial for dial in simpler if dial in full and _tied(full[best], full[dial])), best)


def _tied(best: Array, other: Array) -> bool:
    ahead = best - other
    return len(ahead) < 2 or bool(ahead.mean() <= ahead.std(ddof=1) / math.sqrt(len(ahead)))
