"""What a report shows, worked out from ``bias.json`` before any HTML is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bapa.report.compare import base, changes
from bapa.report.scale import DIFFERENCE, RATE, Scale

Estimate = Mapping[str, float | None]  # value, low, high


@dataclass(frozen=True)
class Quantity:
    """A column of ``bias.json`` and how people call it."""

    key: str
    name: str
    meaning: str

    @property
    def spoken(self) -> str:
        """The name inside a sentence."""
        return self.name if self.name.isupper() else self.name.lower()


MAPPED = (
    Quantity("auc", "AUC", "how well the margin tells present from absent, whatever the threshold; guessing gives 50"),
    Quantity("hit", "Hit rate", "asked about what is there: how often the answer is yes"),
    Quantity(
        "balanced_accuracy",
        "Balanced accuracy",
        "mean of the hit rate and of the rate of right refusals; guessing gives 50",
    ),
    Quantity("false_alarm", "False alarms", "asked about what is not there: how often the answer is yes all the same"),
)
_CROSSED = (
    "cells picked on one half of the items, measured on the other: free of the chance that makes any best minus worst"
)
TABLED = (
    Quantity("auc", "Mean AUC", "present told from absent, whatever the threshold; guessing gives 50"),
    Quantity("auc_range", "Range of the AUC", f"best cell minus worst cell in points; {_CROSSED} positive"),
    Quantity("auc_worst_cell", "Worst cell, AUC", "likewise"),
    Quantity("hit", "Mean hit rate", "over all cells"),
    Quantity("range", "Range of the hit rate", f"best cell minus worst cell in points; {_CROSSED} positive"),
    Quantity("worst_cell", "Worst cell, hit rate", "likewise"),
    Quantity("consistency", "Consistency", "items with the same answer in all cells"),
    Quantity("flip_rate", "Flip rate", "chance that moving the content from one cell to another flips the answer"),
    Quantity("false_alarm", "False alarms", "yes to what is not there"),
    Quantity(
        "near_miss", "Near misses taken", "yes to something almost there, e.g. the right digit in the wrong colour"
    ),
    Quantity("absent", "Strangers taken", "yes to something unlike anything shown"),
    Quantity("balanced_accuracy", "Balanced accuracy", "hits and right refusals, averaged"),
    Quantity("mass", "Answer mass", "probability that the model gave to the answers it may choose from"),
)


@dataclass(frozen=True)
class Cell:
    """One square of a map: what is written in it, what is said about it, its colours."""

    row: int
    col: int
    text: str
    interval: str
    tip: str
    fill: str
    ink: str


@dataclass(frozen=True)
class Map:
    """A heat map of one quantity."""

    quantity: Quantity
    title: str
    rows: int
    cols: int
    cells: list[Cell]

    @property
    def label(self) -> str:
        """The map in words, row by row, for those who cannot see it."""
        lines = [", ".join(cell.text for cell in self.cells if cell.row == row) for row in range(self.rows)]
        return f"{self.title}. Rows from the top: {'; '.join(lines)}."


def percent(number: float | None, digits: int = 0) -> str:
    """A fraction in per cent, without the sign: ``0.983`` -> ``98``; an en dash where there is none."""
    if number is None:
        return "–"
    return f"{round(100 * number, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0: no minus zero


def signed(number: float | None, digits: int = 0) -> str:
    """The same for a difference, with its sign."""
    text = percent(number, digits)
    return text if number is None or text.startswith("−") or not text.strip("0.") else f"+{text}"


def interval(estimate: Estimate, digits: int = 0) -> str:
    """``[27, 40]``; empty where there is no interval."""
    low, high = estimate["low"], estimate["high"]
    return "" if low is None or high is None else f"[{percent(low, digits)}, {percent(high, digits)}]"


def units(bias: Mapping[str, Any]) -> str:
    """What intervals and tests are over: ``items``, or ``73 captions of 200 items``."""
    over, names = bias["clusters"], {"group": "classes", "caption": "captions", "picture": "source pictures"}
    return (
        "items" if over["by"] == "item" else f"{over['number']} {names[over['by']]} of {bias['probe']['items']} items"
    )


def p_value(p: float) -> str:
    """``p = 0.03``, or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def rate_map(bias: Mapping[str, Any], scheme: str, quantity: Quantity) -> Map:
    """The map of ``quantity`` under ``scheme``."""
    cells = bias["schemes"][scheme]["cells"]
    return Map(
        quantity,
        f"{quantity.name} under {scheme}",
        bias["probe"]["rows"],
        bias["probe"]["cols"],
        [_cell(cell, percent(value := cell[quantity.key]["value"]), value, quantity, RATE) for cell in cells],
    )


def difference_map(bias: Mapping[str, Any], scheme: str, quantity: Quantity) -> Map:
    """The map of ``quantity`` under ``scheme`` minus that under the base, with intervals where cells were tested."""
    start = base(bias)
    tested = {c.cell: c for c in changes(bias, scheme) if c.quantity == quantity.key and c.cell is not None}
    cells = []
    for before, after in zip(bias["schemes"][start]["cells"], bias["schemes"][scheme]["cells"], strict=True):
        old, new = before[quantity.key]["value"], after[quantity.key]["value"]
        change = None if old is None or new is None else new - old
        tip = f"{_place(after)}: {quantity.spoken} {percent(old)} → {percent(new)}"
        bounds, test = "", tested.get(after["cell"])
        if test is not None and test.p is not None:
            bounds = interval(test.estimate)
            tip += f", change {signed(change)} {bounds}, {p_value(test.p)} (paired, Holm-corrected over the cells)"
        cells.append(_square(after, signed(change), bounds, tip, change, DIFFERENCE))
    title = f"{quantity.name}, {scheme} minus {start}"
    return Map(quantity, title, bias["probe"]["rows"], bias["probe"]["cols"], cells)


def _cell(cell: Mapping[str, Any], text: str, value: float | None, quantity: Quantity, scale: Scale) -> Cell:
    others = ", ".join(
        f"{other.spoken} {percent(cell[other.key]['value'])}"
        for other in MAPPED
        if other != quantity and cell[other.key]["value"] is not None
    )
    bounds = interval(cell[quantity.key])
    tip = f"{_place(cell)}: {quantity.spoken} {text} {bounds}, n = {cell['n']}" + (f"; {others}" if others else "")
    return _square(cell, text, bounds, tip, value, scale)


def _square(cell: Mapping[str, Any], text: str, bounds: str, tip: str, value: float | None, scale: Scale) -> Cell:
    fill, ink = ("#8888", "#000000") if value is None else (scale.fill(value), scale.ink(value))
    return Cell(cell["row"], cell["col"], text, bounds, tip, fill, ink)


def _place(cell: Mapping[str, Any]) -> str:
    return f"Row {cell['row'] + 1}, column {cell['col'] + 1}"


def mapped(bias: Mapping[str, Any]) -> list[Quantity]:
    """The quantities that this run has for maps."""
    cells = [cell for scheme in bias["schemes"].values() for cell in scheme["cells"]]
    return [q for q in MAPPED if any(cell[q.key]["value"] is not None for cell in cells)]


def table(bias: Mapping[str, Any]) -> Iterator[tuple[Quantity, list[Estimate]]]:
    """The overall figures: each quantity with its estimate per scheme, in the schemes' order."""
    for quantity in TABLED:
        row = [scheme["overall"][quantity.key] for scheme in bias["schemes"].values()]
        if any(estimate["value"] is not None for estimate in row):
            yield quantity, row
