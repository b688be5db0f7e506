"""What rules cost on a side-effect probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bapa.calibrate import curve
from bapa.calibrate.candidates import NATIVE
from bapa.calibrate.criteria import accuracy
from bapa.calibrate.kept import kept
from bapa.calibrate.pointed import asks_to_point
from bapa.calibrate.session import Session
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError
from bapa.inference.opening import addressed
from bapa.probe import Probe
from bapa.stats import Settings


def check_questions(guard: Probe) -> None:
    """Raise ConfigError for a probe whose right answers are not those about places."""
    if guard.design.task == "evidence":
        raise ConfigError(
            f"{guard.path}, of task evidence, is no side-effect probe: its right answers are those to whether "
            "something is there, not to where; build one: bapa probe SOURCE --task where --out WHERE"
        )
    if not asks_to_point(guard):
        guard.needs_choices(
            "a side-effect probe is read from logits, or from places that the model points at",
            "accepted are tasks with choices, and point: bapa probe SOURCE --task where --out WHERE",
        )


def check_guard(guard: Probe) -> None:
    """Raise ConfigError for a probe that cannot tell what a rule costs."""
    check_questions(guard)
    if curve.chance(guard) == 1:
        raise ConfigError(
            f"{guard.path}, of task {guard.design.task}, is no side-effect probe: whoever answers all questions of "
            "a kind alike is always right; build one: bapa probe SOURCE --task where --out WHERE"
        )


def put_to(model: Loaded, guard: Probe) -> Loaded:
    """``model`` as it is asked ``guard`` beside names, which are read behind openings of their own: its answer is the
    next token, behind what its turn begins with. What was asked for stays.
    """
    return replace(model, chat=addressed(model, guard))


def guarded(
    session: Session, guard: Probe, number: int, rules: Sequence[str], settings: Settings, *, others: bool | None
) -> dict[str, Any]:
    """What ``rules``, native first, cost on the items of ``session``, some of ``guard``'s. ``number``: of the guard,
    which names the folder of its answers; ``others``: whether these items had no part in the choice of a rule, None
    where none did. Then each rule has what it ``kept``.
    """
    rows = session.ask(f"guard-{number}", 0, len(session.probe.items), rules)
    by_rule = {rule: rows[rows["scheme"] == rule] for rule in rules}
    values = {rule: accuracy(its, guard.cells) for rule, its in by_rule.items()}
    found = curve.guard(guard, curve.points(by_rule, values, guard.cells, settings))
    if others is not None:
        found["others"] = others
        for rule in found["rules"]:
            rule["kept"] = kept(by_rule[NATIVE], by_rule[rule["candidate"]], guard.cells, settings)
    return found
