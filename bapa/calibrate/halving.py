"""Successive halving: every round doubles the items and halves the candidates, so that all rounds cost about the same
(Jamieson and Talwalkar 2016, AISTATS).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bapa.stats.trials import Array

FIRST = 2  # items of the first round


@dataclass(frozen=True)
class Score:
    """A candidate's score over the items it was asked about. ``error``: its standard error, over items."""

    mean: float
    error: float
    items: int

    @property
    def safe(self) -> float:
        """What candidates are ranked by in the end: the mean less its standard error."""
        return self.mean - self.error


def score(values: Array) -> Score:
    """The score of one candidate from its items' values, (items,) float64. Of one item the error counts as one half."""
    n = len(values)
    return Score(float(values.mean()), float(values.std(ddof=1) / math.sqrt(n)) if n > 1 else 0.5, n)


def rounds(items: int) -> Iterator[tuple[int, int]]:
    """First and past-the-last item of each round: 2, then as many again, then twice as many ..."""
    start, stop = 0, min(FIRST, items)
    while start < items:
        yield start, stop
        start, stop = stop, min(items, 2 * stop) if 2 * stop < 0.75 * items else items


def survivors(values: Mapping[str, Array], kept: Sequence[str], least: int) -> list[str]:
    """The better half of the candidates by their mean, at least ``least`` of them and in their order, with those of
    ``kept``.
    """
    return better_half(
        sorted(values, key=lambda candidate: -float(values[candidate].mean())), list(values), kept, least
    )


def better_half(best_first: Sequence[str], order: Sequence[str], kept: Sequence[str], least: int) -> list[str]:
    """The first half of ``best_first``, at least ``least`` of them, with those of ``kept``, who do not count; as they
    stand in ``order``.
    """
    free = [candidate for candidate in best_first if candidate not in kept]
    best = free[: max(least, math.ceil(len(free) / 2))]
    return [candidate for candidate in order if candidate in best or candidate in kept]


def winner(values: Mapping[str, Array], simpler: Sequence[str]) -> str:
    """The candidate with the best ``safe`` score among those asked about most items; where it ties with one of
    ``simpler``, the first such.

    A tie: over the same items the winner is ahead by no more than the standard error of the difference (the
    one-standard-error rule of Breiman et al. 1984).
    """
    most = max(map(len, values.values()))
    full = {candidate: found for candidate, found in values.items() if len(found) == most}
    best = max(full, key=lambda candidate: score(full[candidate]).safe)
    return next((candidate for candidate in simpler if candidate in full and _tied(full[best], full[candidate])), best)


def _tied(best: Array, other: Array) -> bool:
    ahead = best - other
    return len(ahead) < 2 or bool(ahead.mean() <= ahead.std(ddof=1) / math.sqrt(len(ahead)))
