"""How long a check will take on this machine, from a timed warm-up, and how many items fit the budget."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from bapa.calibrate import halving
from bapa.calibrate.candidates import STRIDES
from bapa.calibrate.pace import WARM as MEASURED
from bapa.calibrate.pace import Pace
from bapa.errors import ConfigError
from bapa.inference.progress import duration

ITEMS = (200, 160, 120, 80, 60, 40)  # that judge, whichever fits first
PICK = 32  # items that pick the rule
TRACED = 60  # items that the cause is found on, at most
STEPS = 24  # distances tried
MOVES = 9  # conditions of the attribution: native, and four moves drawn twice
GUARDS = ("where", "order")  # tasks of the side-effect probes


@dataclass(frozen=True)
class Estimate:
    """Seconds of each step, for ``items`` that judge. The last two are needed only where the map is uneven."""

    items: int
    measure: float
    origin: float
    calibrate: float
    memory: int

    @property
    def total(self) -> float:
        return self.measure + self.origin + self.calibrate


def estimate(found: Pace, items: int) -> Estimate:
    """What a check with ``items`` that judge will take at this pace."""
    search = sum(found.seconds(stop - start, rules) for start, stop, rules in _rounds(PICK, STEPS + 1, 2))
    finer = sum(found.seconds(stop - start, rules) for start, stop, rules in _rounds(PICK, 2 + len(STRIDES), 1))
    return Estimate(
        items=items,
        measure=found.seconds(items, len(MEASURED)),
        origin=found.seconds(min(items, TRACED), MOVES) + found.seconds(min(items, TRACED), 1),
        calibrate=search + finer + found.seconds(items, 1) + len(GUARDS) * found.seconds(PICK, 3),
        memory=found.memory,
    )


def fitted(found: Pace, budget: float) -> Estimate:
    """The estimate with the most items that fit ``budget``, in seconds.

    Raises ConfigError where the least number does not.
    """
    for items in ITEMS:
        if (whole := estimate(found, items)).total <= budget:
            return whole
    raise ConfigError(
        f"a check of {ITEMS[-1]} items would take about {ceil(whole.total / 60)} min on this machine, the budget is "
        f"{duration(budget)}; type --budget {ceil(whole.total / 60) + 1}m, or use a faster --device"
    )


def _rounds(items: int, candidates: int, least: int) -> list[tuple[int, int, int]]:
    """First item, past-the-last item and number of candidates of each round of the search."""
    found = []
    for start, stop in halving.rounds(items):
        found.append((start, stop, candidates))
        candidates = max(least, ceil(candidates / 2))
    return found
