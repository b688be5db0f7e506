"""What a search under a promise costs, told before it starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from bapa.calibrate import halving
from bapa.calibrate.pace import Pace


@dataclass(frozen=True)
class Cost:
    """``pairs``: of item and candidate, for each of ``probes``, at most. ``candidates``: that start. ``items``: that
    the last of them are asked about. ``seconds``: of the whole search on this machine.
    """

    candidates: int
    items: int
    probes: int
    pairs: int
    seconds: float


def cost(pace: Pace, starts: tuple[int, ...], kept: int, least: int, items: int, probes: int) -> Cost:
    """Of searches that begin with so many candidates each, ``starts``, of which the first keeps ``kept`` to the end.

    ``pace``: of one probe, which stands for all; what a model says anyway is asked about that one.
    """
    asked = [one for number, start in enumerate(starts) for one in rounds(items, start, least, 0 if number else kept)]
    seconds = probes * sum(pace.seconds(many, rules) for many, rules in asked) + sum(starts) * pace.usual
    return Cost(sum(starts), items, probes, sum(many * rules for many, rules in asked), seconds)


def rounds(items: int, candidates: int, least: int, kept: int) -> Iterator[tuple[int, int]]:
    """Items and candidates of each round of a search, of which ``kept`` candidates never leave."""
    for start, stop in halving.rounds(items):
        yield stop - start, candidates
        free = candidates - kept
        candidates = kept + min(free, max(least, ceil(free / 2)))
