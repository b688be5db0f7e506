"""How long a check will take on this machine, from a timed warm-up, and how many items fit the budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from bapa.calibrate import promise
from bapa.calibrate.candidates import STRIDES
from bapa.calibrate.cost import rounds
from bapa.calibrate.pace import WARM as MEASURED
from bapa.calibrate.pace import Pace, pace, peak, timed
from bapa.calibrate.session import Session, part
from bapa.check import pointing
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError, ModelError
from bapa.inference.block import WRITTEN
from bapa.origin import Options
from bapa.origin.study import Study
from bapa.probe import Probe
from bapa.progress import duration

ITEMS = (200, 160, 120, 80, 60)  # that judge, whichever fits first; fewer cannot call a map without a mistake even
PICK = 32  # items that pick the rule
TRACED = 60  # items that the cause is found on, at most
STEPS = 24  # distances tried
AUDITED = 16  # canvases that a run asks again one question at a time
WARM = 8  # items of the warm-up
GUARDS = ("where", "order")  # tasks of the side-effect probes


@dataclass(frozen=True)
class WarmUp:
    """``pace``: of asking. ``moves``: seconds that one item takes under all conditions of the attribution. ``alone``:
    that one canvas takes under one rule in an audit. ``keep``: that the search for a rule that keeps places takes.
    ``points``: that one item takes to be pointed at under one rule; 0 where the model does not point.
    """

    pace: Pace
    moves: float
    alone: float
    keep: float = 0.0
    points: float = 0.0

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> WarmUp:
        """As ``asdict`` wrote it."""
        return cls(**{**found, "pace": Pace(**found["pace"])})

    def run(self, items: float, rules: float) -> float:
        """Seconds of measuring so many items under so many rules, the audit included."""
        return self.pace.seconds(items, rules) + rules * (AUDITED * self.alone + self.pace.usual)


@dataclass(frozen=True)
class Estimate:
    """Seconds of each step, for ``items`` that judge, and bytes of ``memory``.

    ``measure`` is always taken; ``origin`` only where the map is uneven; ``calibrate`` where a rule may help; ``keep``,
    the search for a rule that keeps places, where the one that evens the map loses them. It is None where it does not
    fit the budget. ``points``: whether the model is asked to point.
    """

    items: int
    measure: float
    origin: float
    calibrate: float
    memory: int
    keep: float | None = None
    points: bool = False

    def of(self, steps: Iterable[str]) -> float:
        """Of these steps."""
        return sum(getattr(self, step) or 0.0 for step in steps)

    @property
    def most(self) -> float:
        """Of every step that may be taken, which is what a budget must hold."""
        return self.of(("measure", "origin", "calibrate", "keep"))


def warm_up(model: Loaded, probe: Probe, points: Probe | None, folder: Path, batch_size: int) -> WarmUp:
    """How fast ``model`` is on :data:`WARM` items of ``probe``: every way of asking that a check takes is timed.

    ``points``: a probe of task ``point``; None where there is none.
    """
    asking = pace(model, part(probe, 0, 6), folder, batch_size)
    two = part(probe, 6, 8)
    asker = Session(model, two, folder, batch_size).asker(two, MEASURED[:1])
    canvas, questions = probe.compose(two.items[0], 0), probe.questions(two.items[0], 0)
    asker.settle(questions)
    alone = timed(lambda: asker.answer_alone(canvas, questions, MEASURED[0]))
    if probe.design.task != "name":  # whose names no audit looks for in what a model writes
        alone += timed(lambda: asker.write_alone(canvas, questions, MEASURED[0], WRITTEN))
    study = Study(model, two, folder, Options(batch_size=batch_size, rules=MEASURED[:1], parts=()))
    spent = timed(study.ask) + timed(lambda: _turned(study))
    moves = max(spent - 2 * asking.usual, 0.0) / 2
    search = promise.expected(model, probe, asking, folder, items=PICK, guards=len(GUARDS), batch_size=batch_size)
    pointed = pointing.tried(model, points, folder / "point", batch_size) if points else 0.0
    return WarmUp(replace(asking, memory=peak()), moves, alone, search.seconds, pointed)


def estimate(found: WarmUp, items: int) -> Estimate:
    """What a check with ``items`` that judge will take at this pace."""
    ask = found.pace.seconds
    rough, fine = STEPS + 2, 2 + len(STRIDES)  # native and the paper's rule beside the steps; these two never leave
    asked = (*rounds(PICK, rough, 2, 2), *rounds(PICK, fine, 1, 0))
    search = sum(ask(many, rules) for many, rules in asked) + (rough + fine) * found.pace.usual
    traced, pointed = min(items, TRACED), pointing.ITEMS * found.points
    return Estimate(
        items=items,
        measure=found.run(items, len(MEASURED)),
        origin=traced * found.moves + 2 * found.pace.usual,
        calibrate=search + found.run(items, 2) + len(GUARDS) * ask(PICK, 4) + 4 * pointed,
        memory=found.pace.memory,
        keep=found.keep + found.run(items, 1) + len(GUARDS) * ask(PICK, 3) + pointed,
        points=found.points > 0,
    )


def fitted(found: WarmUp, budget: float) -> Estimate:
    """The estimate with the most items that fit ``budget``, in seconds. Where not even the least number does, the
    search for a rule that keeps places is left out.

    Raises ConfigError where the least number does not fit without it.
    """
    for items in ITEMS:
        if (whole := estimate(found, items)).most <= budget:
            return whole
    for items in ITEMS:
        if (whole := replace(estimate(found, items), keep=None)).most <= budget:
            return whole
    raise ConfigError(
        f"a check of {ITEMS[-1]} items would take about {ceil(whole.most / 60)} min on this machine, the budget is "
        f"{duration(budget)}; type --budget {ceil(whole.most / 60) + 1}m, or use a faster --device"
    )


def _turned(study: Study) -> None:
    """Ask with question and image in the other order, where the prompt can be turned."""
    with suppress(ModelError):
        study.ask_turned()
