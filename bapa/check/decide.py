"""From evidence to a decision: leave it, balance it with a rule, tune it, or it cannot be told.

The rule is fixed before any model is looked at. It draws nothing and says nothing: :mod:`bapa.report.decision` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bapa.check.evidence import Arm, Evidence, Guard

Kind = Literal["leave", "balance", "tune", "untold"]
Reason = Literal[
    "refused",
    "no-answer",
    "content-unknown",
    "too-few-items",
    "even",
    "small",
    "encoder",
    "no-rule-helps",
    "loses",
    "helps",
]

MARGIN = 0.02  # two points of AUC: less is not worth a change, and a mean may not fall by more
LEVEL = 0.05  # of the test that the native cells differ
MASS = 0.5  # of the answers: with less, the model answers something else
KNOWS = 0.6  # mean AUC, lower bound: with less, the model cannot do the task
ORDERLESS = "bapa:image_attention=bidirectional"  # leaves image tokens neither positions nor an order
KEEP = 0.9  # share of native skill above chance that a guard must keep
VAGUE = 0.1  # of the native range, upper bound: with more, too few items were asked to call it even or small


@dataclass(frozen=True)
class Decision:
    """``kind``, in one word, and the ``reason`` for it. ``arm``: the rule it is about, where it is about one.

    ``lost``: names of the guards that this rule fails.
    """

    kind: Kind
    reason: Reason
    arm: Arm | None = None
    lost: tuple[str, ...] = ()

    @property
    def rule(self) -> str | None:
        """The rule to balance with; None where the decision is another."""
        return self.arm.label if self.kind == "balance" and self.arm else None


def decide(evidence: Evidence) -> Decision:
    """The decision that ``evidence`` carries."""
    if evidence.refusal:
        return Decision("untold", "refused")
    if evidence.mass is not None and evidence.mass < MASS:
        return Decision("untold", "no-answer")
    if evidence.native.mean.least < KNOWS:
        return Decision("untold", "content-unknown")
    spread = evidence.native.range
    told = evidence.p is not None and evidence.p < LEVEL
    if not (told and spread.value > MARGIN and spread.least > 0):
        # The cells differ, by more than the margin as far as is known, and the interval does not rule out zero.
        unsure = told and spread.value > MARGIN
        if unsure or spread.most > VAGUE:
            return Decision("untold", "too-few-items")
        return Decision("leave", "small" if told else "even")
    if evidence.cause == "encoder":
        return Decision("tune", "encoder")
    return _remedy(evidence)


def settled(evidence: Evidence) -> bool:
    """Whether what later steps find out could not change the decision. Behind the calibration, which asks the guards,
    only a rule that keeps what the best one loses can.
    """
    open_: tuple[Reason, ...] = ("loses",) if evidence.calibrated else ("no-rule-helps", "loses", "helps")
    return decide(evidence).reason not in open_


def _remedy(evidence: Evidence) -> Decision:
    """The best rule that raises the worst cell, keeps the mean, and fails no guard."""
    ranked = sorted(filter(helps, evidence.arms[1:]), key=lambda arm: (-arm.worst.value, arm.range.value))
    if not ranked:
        return Decision("tune", "no-rule-helps")
    harmless = next((arm for arm in ranked if not failed(evidence.guards, arm.label)), None)
    if harmless:
        return Decision("balance", "helps", harmless)
    lost = tuple(guard.name for guard in failed(evidence.guards, ranked[0].label))
    return Decision("leave", "loses", ranked[0], lost)


def helps(arm: Arm) -> bool:
    """Whether the worst cell rises, and the mean falls by no more than the margin, both by their intervals."""
    return arm.change["worst"].least > 0 and arm.change["mean"].least > -MARGIN


def failed(guards: tuple[Guard, ...], label: str) -> list[Guard]:
    """The guards that tell something natively and too little under a rule."""
    return [guard for guard in guards if guard.tells and label in guard.rules and guard.kept(label) < KEEP]
