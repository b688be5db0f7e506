"""What a decision rests on: plain figures, each measured on items that no search picked by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Cause = Literal["position", "order", "encoder", "several", "none", "unknown"]


@dataclass(frozen=True)
class Figure:
    """A value with its interval, as fractions. ``low`` and ``high`` are None where no interval is known."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def least(self) -> float:
        """The lower bound, or the value where no interval is known."""
        return self.value if self.low is None else self.low

    @property
    def most(self) -> float:
        """The upper bound, or the value where no interval is known."""
        return self.value if self.high is None else self.high


@dataclass(frozen=True)
class Arm:
    """One rule on the judged items: area under the ROC curve (AUC) per cell and over cells.

    ``mean``, ``worst``, ``range``: over cells. ``change``: the same three minus native, item by item; empty for native.
    """

    label: str
    mean: Figure
    worst: Figure
    range: Figure
    change: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Guard:
    """What positions are for: the share of right answers natively and by rule. ``chance``: of an answer that never
    looks.
    """

    name: str
    chance: float
    native: Figure
    rules: Mapping[str, Figure]

    @property
    def tells(self) -> bool:
        """Whether the model can do the task natively at all."""
        return self.native.least > self.chance

    def kept(self, label: str) -> float:
        """The share of native skill above chance that is left under a rule, by point estimates; at most 1."""
        return min(1.0, (self.rules[label].value - self.chance) / (self.native.value - self.chance))


@dataclass(frozen=True)
class Search:
    """The search for a rule that keeps what the guards tell, among ``candidates`` rules. ``rule``: the evenest one that
    does; None where none does. ``left_out``: why there was no search, where there was none.
    """

    candidates: int = 0
    rule: str | None = None
    left_out: str | None = None


@dataclass(frozen=True)
class Evidence:
    """All that was found out about a model.

    ``refusal``: why it cannot be balanced. ``mass``: probability that the next token is one of the answers, median over
    questions; ``wanted``: what the model would rather say. ``p``: of the test that the cells of the native map differ.
    ``unasked``: names of guards that the pictures do not allow, with the reason. ``arms``: rules on the judged items,
    native first. ``cause``: of the verdict of :mod:`bapa.origin`. ``search``: None where nothing had to be kept.
    ``items``: how many judged.
    """

    model: str
    refusal: str | None = None
    mass: float | None = None
    wanted: str | None = None
    p: float | None = None
    arms: tuple[Arm, ...] = ()
    cause: Cause | None = None
    guards: tuple[Guard, ...] = ()
    unasked: Mapping[str, str] = field(default_factory=dict)
    search: Search | None = None
    items: int = 0

    @property
    def native(self) -> Arm:
        return self.arms[0]

    @property
    def calibrated(self) -> bool:
        """Whether the calibration, which asks every guard that the pictures allow, is behind this."""
        return bool(self.guards or self.unasked)
