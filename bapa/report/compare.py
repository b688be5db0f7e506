"""How one scheme differs from another, as ``bias.json`` tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Bias = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """A quantity under one scheme minus that under the base. ``cell`` is None for the figure over all cells.

    ``p``: of the paired test, Holm-corrected within its family; ``primary``: whether claims are made about it.
    """

    quantity: str
    cell: int | None
    value: float
    low: float | None
    high: float | None
    p: float | None
    primary: bool

    @property
    def estimate(self) -> Mapping[str, float | None]:
        """Value and interval, as the columns of ``bias.json`` hold them."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def direction(self, level: float) -> int:
        """1 or -1 where the corrected test finds it higher or lower than under the base; 0 where it does not."""
        return 0 if self.p is None or self.p >= 1 - level else 1 if self.value > 0 else -1


def base(bias: Bias) -> str:
    """The scheme the others are compared with: native where it was measured, else the first."""
    return "native" if "native" in bias["schemes"] else next(iter(bias["schemes"]))


def others(bias: Bias) -> list[str]:
    """All schemes but the base."""
    return [label for label in bias["schemes"] if label != base(bias)]


def changes(bias: Bias, scheme: str) -> Iterator[Change]:
    """Every comparison of ``scheme`` with the base that has a value."""
    for row in bias["comparisons"]:
        if row["b"] == scheme and row["difference"]["value"] is not None:
            primary = row["family"] == "primary"
            yield Change(row["quantity"], row.get("cell"), **row["difference"], p=row["p_adjusted"], primary=primary)
