"""How long a check will take on this machine, from a timed warm-up, and how many items fit the budget."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import torch

from bapa.calibrate import halving
from bapa.calibrate.candidates import STRIDES
from bapa.calibrate.session import Session
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError
from bapa.inference.progress import duration
from bapa.probe import Probe

ITEMS = (200, 160, 120, 80, 60, 40)  # that judge, whichever fits first
PICK = 32  # items that pick the rule
TRACED = 60  # items that the cause is found on, at most
STEPS = 24  # distances tried
MEASURED = ("native", "null", "bapa")
MOVES = 9  # conditions of the attribution: native, and four moves drawn twice
GUARDS = ("where", "order")  # tasks of the side-effect probes


@dataclass(frozen=True)
class Pace:
    """Seconds that one item takes: ``once`` for its pictures, ``rule`` more for each rule; and bytes of memory at the
    peak so far.
    """

    once: float
    rule: float
    memory: int

    def seconds(self, items: float, rules: float) -> float:
        """Of asking so many items under so many rules."""
        return items * (self.once + rules * self.rule)


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


def pace(model: Loaded, probe: Probe, folder: Path, batch_size: int) -> Pace:
    """The pace of ``model`` on six items of ``probe``: two to warm up, two natively, two under three rules."""
    session = Session(model, probe, folder, batch_size)
    session.ask("warm", 0, 2, MEASURED)
    one = _timed(lambda: session.ask("one", 2, 4, MEASURED[:1])) / 2
    three = _timed(lambda: session.ask("three", 4, 6, MEASURED)) / 2
    rule = max((three - one) / 2, 0.02 * one)
    return Pace(max(one - rule, 0.0), rule, _memory())


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


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _memory() -> int:
    """Bytes at the peak so far: of the accelerator where there is one, else of this process."""
    if torch.cuda.is_available() and (used := torch.cuda.max_memory_allocated()):
        return int(used)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
