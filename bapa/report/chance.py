"""The tests in plain words: first what they say, then the numbers they say it with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bapa.probe.slots import Slots
from bapa.report import claims
from bapa.report.compare import Bias, Change, changes, others
from bapa.stats.quantities import OVERALL, Quantity
from bapa.stats.text import interval, p_value, percent, signed

READINGS = {
    "uneven": "The place matters.",
    "blind": "No sign that the place matters, but it cannot tell present from absent.",
    "even": "Even.",
    "unclear": "No sign that the place matters.",
}
_WORSE = "No sign that the place matters, but it tells present from absent worse."


@dataclass(frozen=True)
class Verdict:
    """Whether the place matters under a scheme: ``says`` in a sentence, ``numbers`` for those who check it."""

    scheme: str
    says: str
    numbers: str


@dataclass(frozen=True)
class Difference:
    """A scheme against the base in one quantity, as a row of a table. ``primary``: whether claims are made about it."""

    scheme: str
    quantity: str
    size: str
    interval: str
    p: str
    says: str
    primary: bool


def places(bias: Bias) -> Iterator[Verdict]:
    """For every scheme: do its cells differ by more than chance allows?"""
    main, slots = claims.main(bias)[1], Slots.of(bias["probe"])
    for scheme, found in bias["schemes"].items():
        reading = claims.reading(bias, scheme)
        if reading == "no answers":
            yield Verdict(scheme, "No verdict.", claims.wanted(bias, scheme))
        elif found["tests"][main]["p_adjusted"] is not None:
            chance = _chance(found["tests"][main], claims.name(bias), reading == "uneven", bias["level"])
            numbers = f"{chance} {_trend(found['slopes'], slots)}"
            says = _WORSE if reading == "blind" and not claims.at_chance(bias, scheme) else READINGS[reading]
            yield Verdict(scheme, slots.say(says), slots.say(numbers.rstrip()))


def differences(bias: Bias) -> Iterator[Difference]:
    """For every scheme but the base: the overall quantities that were tested against it, the primary ones first."""
    for scheme in others(bias):
        tested = {change.quantity: change for change in changes(bias, scheme) if change.cell is None}
        for quantity in OVERALL:
            change = tested.get(quantity.key)
            if quantity.up and change is not None and change.p is not None:
                size, bounds = signed(change.value, 1), interval(change.estimate, 1)
                says = _says(bias, scheme, change, quantity)
                yield Difference(scheme, quantity.name, size, bounds, p_value(change.p), says, change.primary)


def _says(bias: Bias, scheme: str, change: Change, quantity: Quantity) -> str:
    direction = claims.changed(bias, scheme, change.quantity)
    if not direction:
        return "no clear difference"
    said = quantity.up if direction > 0 else quantity.down
    if said == "more even" and claims.lost(bias, scheme):
        return f"{said}, because it cannot tell" if claims.at_chance(bias, scheme) else f"{said}, but tells worse"
    return said


def _chance(test: Mapping[str, Any], what: str, matters: bool, level: float) -> str:
    more = "more than" if matters else "no more than"
    statistic, floor, high = (percent(test[name], 1) for name in ("statistic", "floor", "floor_high"))
    alone = f"; {p_value(test['p'])} alone" if not matters and test["p"] < 1 - level else ""
    return (
        f"Best and worst cell differ by {statistic} points of the {what}, {more} chance allows. If the place played no "
        f"part, the same answers would differ by {floor} on average and in 95 of 100 cases by at most {high} "
        f"({p_value(test['p_adjusted'])}, corrected over the claims of this page{alone})."
    )


def _trend(slopes: Mapping[str, Any], slots: Slots) -> str:
    row, col = slopes["row"], slopes["col"]
    if slots.line and col["value"] is not None:
        told = f"{signed(col['value'], 1)} points {interval(col, 1)}"
        return f"Each {slots.word} further on changes the hit rate by {told}."
    if row["value"] is None or col["value"] is None:
        return ""
    return (
        f"Each row further down changes the hit rate by {signed(row['value'], 1)} points {interval(row, 1)}, "
        f"each column further right by {signed(col['value'], 1)} {interval(col, 1)}."
    )
