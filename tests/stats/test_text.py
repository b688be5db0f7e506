"""One table of quantities, one text form of an estimate."""

from __future__ import annotations

import pytest

from bapa.stats.quantities import CELLS, OVERALL, overall, spoken
from bapa.stats.text import percent, points, rounded, signed, with_interval


@pytest.mark.parametrize(
    ("estimate", "unit", "text"),
    [
        ((0.974, 0.912, 1.03), " %", "97.4 % [91.2, 103.0]"),
        ((-0.0004, -0.02, 0.01), "", "0.0 [−2.0, 1.0]"),
        ((0.5, None, None), " %", "50.0 %"),
        ((None, None, None), " %", "–"),
    ],
)
def test_an_estimate_as_text(estimate: tuple[float | None, ...], unit: str, text: str) -> None:
    assert with_interval(dict(zip(("value", "low", "high"), estimate, strict=True)), 1, unit) == text


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [(2.5, 0, "3"), (0.5, 0, "1"), (-2.5, 0, "−3"), (-0.4, 0, "0"), (28.49, 0, "28"), (1.005, 2, "1.01")],
)
def test_halves_go_away_from_zero(number: float, digits: int, text: str) -> None:
    assert rounded(number, digits) == text


def test_a_half_is_one_whatever_the_arithmetic_made_of_it() -> None:
    """A rate, its per cent and its change go the same way; 0.285 is 28.499999999999996 per cent in binary."""
    assert [percent(0.285), percent(0.025), signed(0.025), signed(-0.025)] == ["29", "3", "+3", "−3"]


def test_one_point_is_one_point() -> None:
    assert [points(0.01), points(0.0), points(0.025, 1), points(-0.01)] == [
        "1 point",
        "0 points",
        "2.5 points",
        "−1 point",
    ]


def test_every_quantity_has_one_entry_and_a_meaning() -> None:
    for table in (CELLS, OVERALL):
        assert len({quantity.key for quantity in table}) == len(table)
        assert all(quantity.name and quantity.meaning for quantity in table)
    assert all(bool(quantity.up) == bool(quantity.down) for quantity in OVERALL)


def test_names_inside_sentences_keep_their_capitals() -> None:
    assert CELLS[0].spoken == "AUC"
    assert spoken(["auc", "auc_range"]) == {"auc": "mean AUC", "auc_range": "range of the AUC"}
    assert overall("hit").spoken == "mean hit rate"
