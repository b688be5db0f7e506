"""How one scheme differs from another, as ``bias.json`` tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Bias = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """A quantity under one scheme minus that under the base. ``cell`` is None for the figure over all cells.

    ``p``: of the paired test, Holm-corrected over all comparisons of the run.
    """

    quantity: str
    cell: int | None
    value: float
    low: float | None
    high: float | None
    p: float | None

    @property
    def estimate(self) -> Mapping[str, float | None]:
        """Value and interval, as the columns of ``bias.json`` hold them."""
        return {"value": self.value, "low": self.low, "high": self.high}

    @property
    def direction(self) -> int:
        """1 where the interval lies above zero, -1 where it lies below, 0 where it holds zero or there is none."""
        if self.low is None or self.high is None:
            return 0
        return (self.low > 0) - (self.high < 0)


def base(bias: Bias) -> str:
    """The scheme the others are compared with: native where it was measured, else the first."""
    return "native" if "native" in bias["schemes"] else next(iter(bias["schemes"]))


def others(bias: Bias) -> list[str]:
    """All schemes but the base."""
    return [label for label in bias["schemes"] if label != base(bias)]


def changes(bias: Bias, scheme: str) -> Iterator[Change]:
    """Every comparison of ``scheme`` with the base that was tested."""
    start = base(bias)
    for row in bias["comparisons"]:
        if {row["a"], row["b"]} != {start, scheme}:
            continue
        found = row["difference"]
        value, low, high = found["value"], found["low"], found["high"]
        if row["a"] == scheme:
            value, low, high = -value, high if high is None else -high, low if low is None else -low
        yield Change(row["quantity"], row.get("cell"), value, low, high, row["p_adjusted"])
