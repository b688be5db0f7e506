from __future__ import annotations

import pytest

from bapa.report import view
from bapa.report.scale import DIFFERENCE, RATE, Scale
from bapa.stats import text as said_as
from bapa.stats.quantities import CELLS
from tests.report.fakes import FLAT, SKEWED, fake_bias


@pytest.fixture(scope="module")
def bias() -> dict:
    return fake_bias({"native": SKEWED, "bapa": FLAT})


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [(0.983, 0, "98"), (0.983, 1, "98.3"), (None, 0, "–"), (-0.25, 0, "−25"), (-1e-9, 1, "0.0")],
)
def test_percent(number: float | None, digits: int, text: str) -> None:
    assert said_as.percent(number, digits) == text


@pytest.mark.parametrize(("number", "text"), [(0.05, "+5"), (-0.05, "−5"), (0.0, "0"), (0.001, "0"), (None, "–")])
def test_signed(number: float | None, text: str) -> None:
    assert said_as.signed(number) == text


def test_interval_is_empty_without_bounds() -> None:
    assert said_as.interval({"value": 0.3, "low": 0.271, "high": 0.4}) == "[27, 40]"
    assert said_as.interval({"value": 0.3, "low": None, "high": None}) == ""


def test_rate_map_shows_every_cell_in_its_place(bias: dict) -> None:
    shown = view.rate_map(bias, "native", CELLS[0])
    assert (shown.rows, shown.cols, len(shown.cells)) == (3, 3, 9)
    for cell, given in zip(shown.cells, bias["schemes"]["native"]["cells"], strict=True):
        assert (cell.row, cell.col) == (given["row"], given["col"])
        assert cell.text == said_as.percent(given["auc"]["value"])
        assert cell.interval == said_as.interval(given["auc"])
        assert f"row {given['row'] + 1}, column {given['col'] + 1}" in cell.tip.lower()
        assert cell.interval in cell.tip
    assert shown.label.count(";") == 2


def test_difference_map_subtracts_the_base(bias: dict) -> None:
    shown = view.difference_map(bias, "bapa", CELLS[0])
    for cell, before, after in zip(
        shown.cells, *(bias["schemes"][s]["cells"] for s in ("native", "bapa")), strict=True
    ):
        assert cell.text == said_as.signed(after["auc"]["value"] - before["auc"]["value"])


def test_difference_map_gives_the_interval_of_the_test_in_that_cell(bias: dict) -> None:
    shown = view.difference_map(bias, "bapa", CELLS[0])
    tested = {row["cell"]: row for row in bias["comparisons"] if row["quantity"] == "auc" and "cell" in row}
    for number, cell in enumerate(shown.cells):
        bounds = said_as.interval(tested[number]["difference"])
        assert bounds
        assert cell.interval == bounds
        assert f"{bounds}, {said_as.p_value(tested[number]['p_adjusted'])} (paired" in cell.tip
    untested = view.difference_map(bias, "bapa", CELLS[2])
    assert [cell.interval for cell in untested.cells] == [""] * 9


@pytest.mark.parametrize(("p", "said"), [(0.0001, "p < 0.001"), (0.034, "p = 0.034"), (1.0, "p = 1")])
def test_p_values(p: float, said: str) -> None:
    assert said_as.p_value(p) == said


def test_what_was_not_asked_has_no_map_and_no_row(bias: dict) -> None:
    assert "auc" in [quantity.key for quantity in view.mapped(bias)]
    for scheme in bias["schemes"].values():
        for place in (*scheme["cells"], scheme["overall"]):
            place["auc"] = {"value": None, "low": None, "high": None}
    assert "auc" not in [quantity.key for quantity in view.mapped(bias)]
    assert "auc" not in [quantity.key for quantity, _ in view.table(bias)]


@pytest.mark.parametrize("scale", [RATE, DIFFERENCE])
def test_numbers_can_be_read_on_every_colour(scale: Scale) -> None:
    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    for step in range(101):
        value = scale.low + (scale.high - scale.low) * step / 100
        dark, light = sorted((luminance(scale.fill(value)), luminance(scale.ink(value))))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, value  # WCAG 2.2, level AA


def test_more_is_lighter_all_along_the_rate_scale() -> None:
    shades = [
        sum(w * int(RATE.fill(i / 50)[k : k + 2], 16) for w, k in ((0.2126, 1), (0.7152, 3), (0.0722, 5)))
        for i in range(51)
    ]
    assert shades == sorted(shades)
