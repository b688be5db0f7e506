"""Pointing as a side effect: a place that a model writes has no logit, so a search cannot look at it; what the judged
rules cost is asked afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bapa.calibrate import curve
from bapa.calibrate.candidates import NATIVE
from bapa.calibrate.kept import kept
from bapa.checkpoints import Loaded
from bapa.measure import Run, measure
from bapa.measure.pointing import pointing
from bapa.probe import Probe
from bapa.stats import Settings

TASK = "point"
TOKENS = 64  # a model may write


def asks_to_point(probe: Probe) -> bool:
    """Whether a model is asked to point."""
    return probe.design.task == TASK


def asked(
    model: Loaded,
    probe: Probe,
    rules: Sequence[str],
    folder: Path,
    batch_size: int,
    settings: Settings | None = None,
) -> Run:
    """``model``'s written answers to ``probe``, of task ``point``, under ``rules``."""
    return measure(model, probe, rules, folder, batch_size=batch_size, generate=TOKENS, audit=0, statistics=settings)


def pointed(
    model: Loaded,
    guard: Probe,
    its: Probe,
    folder: Path,
    rules: Sequence[str],
    batch_size: int,
    settings: Settings,
    *,
    promised: bool,
) -> dict[str, Any]:
    """What ``rules``, native first, cost in pointing on ``its``, a part of ``guard``; as
    :func:`~bapa.calibrate.guarded.guarded` has it, with ``written`` and by rule the share of replies ``unread``. Where
    the model does not point natively, it is asked under no other rule. ``folder``: of the run; ``promised``: whether a
    share was promised, of which each rule then has what it ``kept``. No item picks a rule here.

    A reply without a place counts as wrong: a rule under which a model stops pointing keeps nothing.
    """
    found = _told(asked(model, its, [NATIVE], folder, batch_size, settings), guard, its, settings, promised)
    if not found["tells"]:
        return found
    return _told(asked(model, its, rules, folder, batch_size, settings), guard, its, settings, promised)


def _told(run: Run, guard: Probe, its: Probe, settings: Settings, promised: bool) -> dict[str, Any]:
    told = pointing(run, its, settings)
    by_rule = [{**curve.about(rule), "items": len(its.items), "hit": point.right} for rule, point in told.items()]
    found = {**curve.guard(guard, curve.in_order(by_rule)), "written": True}
    answers = run.answers()
    answers["correct"] = answers["correct"].eq(True)
    for rule in found["rules"]:
        label = rule["candidate"]
        rule["unread"] = told[label].missed
        if promised:
            native, under = (answers[answers["scheme"] == one] for one in (NATIVE, label))
            rule["kept"] = kept(native, under, guard.cells, settings)
    return {**found, "others": True} if promised else found
