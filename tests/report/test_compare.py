from __future__ import annotations

import copy

import pytest

from bapa.report.compare import Change, changes, others
from tests.report.fakes import FLAT, LOW, SKEWED, fake_bias


@pytest.fixture(scope="module")
def bias() -> dict:
    return fake_bias({"native": SKEWED, "bapa": FLAT, "bapa:distance=native": LOW})


def test_changes_are_scheme_minus_base(bias: dict) -> None:
    overall = {scheme: found["overall"] for scheme, found in bias["schemes"].items()}
    for scheme in others(bias):
        found = {change.quantity: change for change in changes(bias, scheme) if change.cell is None}
        for quantity in ("hit", "range", "consistency"):
            expected = overall[scheme][quantity]["value"] - overall["native"][quantity]["value"]
            assert found[quantity].value == pytest.approx(expected)


def test_a_comparison_written_the_other_way_round_reads_the_same(bias: dict) -> None:
    turned = copy.deepcopy(bias)
    for row in turned["comparisons"]:
        row["a"], row["b"] = row["b"], row["a"]
        old = row["difference"]
        row["difference"] = {"value": -old["value"], "low": -old["high"], "high": -old["low"]}
    assert list(changes(turned, "bapa")) == list(changes(bias, "bapa"))


@pytest.mark.parametrize(
    ("low", "high", "direction"), [(0.1, 0.3, 1), (-0.3, -0.1, -1), (-0.1, 0.1, 0), (0.0, 0.2, 0), (None, None, 0)]
)
def test_a_direction_needs_an_interval_off_zero(low: float | None, high: float | None, direction: int) -> None:
    assert Change("hit", None, 0.1, low, high, 0.01).direction == direction
