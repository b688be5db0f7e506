"""What a report shows, worked out from ``bias.json`` before any HTML is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bapa.probe.slots import Slots
from bapa.report.compare import base, changes
from bapa.report.scale import DIFFERENCE, RATE, Scale
from bapa.stats.clusters import NAMES
from bapa.stats.quantities import CELLS, OVERALL, Quantity
from bapa.stats.text import Estimated, interval, p_value, percent, signed


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
    slots: Slots
    cells: list[Cell]

    @property
    def rows(self) -> int:
        return self.slots.rows

    @property
    def cols(self) -> int:
        return self.slots.cols

    @property
    def tall(self) -> float:
        """Height of a cell in widths: regions have the shape of their page."""
        return 2**0.5 if self.slots.kind == "page" else 1.0

    @property
    def label(self) -> str:
        """The map in words, row by row, for those who cannot see it."""
        if self.slots.line:
            told = ", ".join(cell.text for cell in self.cells)
            return f"{self.title}. {self.slots.words.capitalize()} in their order: {told}."
        lines = [", ".join(cell.text for cell in self.cells if cell.row == row) for row in range(self.rows)]
        return f"{self.title}. Rows from the top: {'; '.join(lines)}."


def units(bias: Mapping[str, Any]) -> str:
    """What intervals and tests are over: ``items``, or ``73 captions of 200 items``."""
    over = bias["clusters"]
    names = NAMES[over["by"]][1]
    return names if over["by"] == "item" else f"{over['number']} {names} of {bias['probe']['items']} items"


def rate_map(bias: Mapping[str, Any], scheme: str, quantity: Quantity) -> Map:
    """The map of ``quantity`` under ``scheme``."""
    cells = bias["schemes"][scheme]["cells"]
    return Map(
        quantity,
        f"{quantity.name} under {scheme}",
        slots := Slots.of(bias["probe"]),
        [_cell(slots, cell, cell[quantity.key]["value"], quantity, RATE) for cell in cells],
    )


def difference_map(bias: Mapping[str, Any], scheme: str, quantity: Quantity) -> Map:
    """The map of ``quantity`` under ``scheme`` minus that under the base, with intervals where cells were tested."""
    start = base(bias)
    tested = {c.cell: c for c in changes(bias, scheme) if c.quantity == quantity.key and c.cell is not None}
    slots, cells = Slots.of(bias["probe"]), []
    for before, after in zip(bias["schemes"][start]["cells"], bias["schemes"][scheme]["cells"], strict=True):
        old, new = before[quantity.key]["value"], after[quantity.key]["value"]
        change = None if old is None or new is None else new - old
        tip = f"{_place(slots, after)}: {quantity.spoken} {percent(old)} → {percent(new)}"
        bounds, test = "", tested.get(after["cell"])
        if test is not None and test.p is not None:
            bounds = interval(test.estimate)
            tip += (
                f", change {signed(change)} {bounds}, {p_value(test.p)} (paired, Holm-corrected over the {slots.words})"
            )
        cells.append(_square(after, signed(change), bounds, tip, change, DIFFERENCE))
    title = f"{quantity.name}, {scheme} minus {start}"
    return Map(quantity, title, slots, cells)


def _cell(slots: Slots, cell: Mapping[str, Any], value: float | None, quantity: Quantity, scale: Scale) -> Cell:
    text = percent(value)
    others = ", ".join(
        f"{other.spoken} {percent(cell[other.key]['value'])}"
        for other in CELLS
        if other != quantity and cell[other.key]["value"] is not None
    )
    bounds = interval(cell[quantity.key])
    tip = f"{_place(slots, cell)}: {quantity.spoken} {text} {bounds}, n = {cell['n']}"
    tip += f"; {others}" if others else ""
    return _square(cell, text, bounds, tip, value, scale)


def _square(cell: Mapping[str, Any], text: str, bounds: str, tip: str, value: float | None, scale: Scale) -> Cell:
    fill, ink = ("#8888", "#000000") if value is None else (scale.fill(value), scale.ink(value))
    return Cell(cell["row"], cell["col"], text, bounds, tip, fill, ink)


def _place(slots: Slots, cell: Mapping[str, Any]) -> str:
    name = slots.name(cell["cell"])
    return f"{name[:1].upper()}{name[1:]}"


def mapped(bias: Mapping[str, Any]) -> list[Quantity]:
    """The quantities that this run has for maps."""
    cells = [cell for scheme in bias["schemes"].values() for cell in scheme["cells"]]
    return [q for q in CELLS if any(cell[q.key]["value"] is not None for cell in cells)]


def table(bias: Mapping[str, Any]) -> Iterator[tuple[Quantity, list[Estimated]]]:
    """The overall figures: each quantity with its estimate per scheme, in the schemes' order."""
    for quantity in OVERALL:
        row = [scheme["overall"][quantity.key] for scheme in bias["schemes"].values()]
        if any(estimate["value"] is not None for estimate in row):
            yield quantity, row
