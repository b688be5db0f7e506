"""How long asking takes on this machine, from a timed warm-up."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from bapa.calibrate.session import Session
from bapa.checkpoints import Loaded
from bapa.probe import Probe

WARM = ("native", "null", "bapa")  # rules of the warm-up


@dataclass(frozen=True)
class Pace:
    """Seconds that one item takes: ``once`` for its pictures, ``rule`` more for each rule; and bytes of memory at the
    peak so far. ``usual``: seconds that it takes, once for each rule, to learn what the model says anyway; 0 where it
    is not asked for names.
    """

    once: float
    rule: float
    memory: int
    usual: float = 0.0

    def seconds(self, items: float, rules: float) -> float:
        """Of asking so many items under so many rules."""
        return items * (self.once + rules * self.rule)


def pace(model: Loaded, probe: Probe, folder: Path, batch_size: int, rules: tuple[str, str, str] = WARM) -> Pace:
    """The pace of ``model`` on six items of ``probe``: two to warm up, two under the first of ``rules``, two under all
    three.
    """
    session, usual = Session(model, probe, folder, batch_size), 0.0
    if probe.design.task == "name":
        session.ask("first", 0, 2, rules[:1])
        asker = session.asker(session.probe, rules[1:])
        usual = timed(lambda: asker.settle(probe.questions(probe.items[0], 0))) / len(rules[1:])
    session.ask("warm", 0, 2, rules)
    one = timed(lambda: session.ask("one", 2, 4, rules[:1])) / 2
    three = timed(lambda: session.ask("three", 4, 6, rules)) / 2
    rule = max((three - one) / 2, 0.02 * one)
    return Pace(max(one - rule, 0.0), rule, peak(), usual)


def timed(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak() -> int:
    """Bytes at the peak so far: of the accelerator where there is one, else of this process."""
    if torch.cuda.is_available() and (used := torch.cuda.max_memory_allocated()):
        return int(used)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
