"""One table of quantities, one text form of an estimate."""

from __future__ import annotations

import pytest

from bapa.stats.quantities import CELLS, OVERALL, overall, spoken
from bapa.stats.text import with_interval


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


def test_every_quantity_has_one_entry_and_a_meaning() -> None:
    for table in (CELLS, OVERALL):
        assert len({quantity.key for quantity in table}) == len(table)
        assert all(quantity.name and quantity.meaning for quantity in table)
    assert all(bool(quantity.up) == bool(quantity.down) for quantity in OVERALL)


def test_names_inside_sentences_keep_their_capitals() -> None:
    assert CELLS[0].spoken == "AUC"
    assert spoken(["auc", "auc_range"]) == {"auc": "mean AUC", "auc_range": "range of the AUC"}
    assert overall("hit").spoken == "mean hit rate"
