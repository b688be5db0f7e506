"""The tests in plain words: first what they say, then the numbers they say it with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bapa.report.compare import Bias, Change, changes, others
from bapa.report.view import interval, p_value, percent, signed

COMPARED = {
    "hit": ("Mean hit rate", "higher", "lower"),
    "range": ("Range over cells", "more uneven", "more even"),
    "consistency": ("Consistency", "more consistent", "less consistent"),
    "false_alarm": ("False alarms", "more", "fewer"),
    "balanced_accuracy": ("Balanced accuracy", "better", "worse"),
}


@dataclass(frozen=True)
class Verdict:
    """Whether the place matters under a scheme: ``says`` in a sentence, ``numbers`` for those who check it."""

    scheme: str
    says: str
    numbers: str


@dataclass(frozen=True)
class Difference:
    """A scheme against the base in one quantity, as a row of a table."""

    scheme: str
    quantity: str
    size: str
    interval: str
    p: str
    says: str


def places(bias: Bias) -> Iterator[Verdict]:
    """For every scheme: do its cells differ by more than chance allows?"""
    for scheme, found in bias["schemes"].items():
        if found["tests"]["permutation_range"]["p"] is not None:
            matters = found["tests"]["permutation_range"]["p"] < 1 - bias["level"]
            says = "The place matters." if matters else "No sign that the place matters."
            yield Verdict(scheme, says, f"{_chance(found['tests'], matters)} {_trend(found['slopes'])}".rstrip())


def differences(bias: Bias) -> Iterator[Difference]:
    """For every scheme but the base: the overall quantities that were tested against it."""
    for scheme in others(bias):
        tested = {change.quantity: change for change in changes(bias, scheme) if change.cell is None}
        for key, (name, up, down) in COMPARED.items():
            change = tested.get(key)
            if change is not None and change.p is not None:
                size, bounds = signed(change.value, 1), interval(change.estimate, 1)
                yield Difference(scheme, name, size, bounds, p_value(change.p), _says(change, bias["level"], up, down))


def _says(change: Change, level: float, up: str, down: str) -> str:
    if change.p is None or change.p >= 1 - level:
        return "no clear difference"
    return up if change.value > 0 else down


def _chance(found: Mapping[str, Any], matters: bool) -> str:
    span, cochran = found["permutation_range"], found["cochran_q"]
    more = "more than" if matters else "no more than"
    statistic, floor, high = (percent(span[name], 1) for name in ("statistic", "floor", "floor_high"))
    return (
        f"The cells differ by {statistic} points, {more} chance allows. If the place played no part, the same answers "
        f"would differ by {floor} on average and in 95 of 100 cases by at most {high} ({p_value(span['p'])}; "
        f"Cochran's Q {cochran['statistic']:.1f}, {cochran['df']} degrees of freedom, {p_value(cochran['p'])})."
    )


def _trend(slopes: Mapping[str, Any]) -> str:
    row, col = slopes["row"], slopes["col"]
    if row["value"] is None or col["value"] is None:
        return ""
    return (
        f"Each row further down changes the hit rate by {signed(row['value'], 1)} points {interval(row, 1)}, "
        f"each column further right by {signed(col['value'], 1)} {interval(col, 1)}."
    )
