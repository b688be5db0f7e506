from __future__ import annotations

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
        for quantity in ("hit", "range", "auc_range", "consistency"):
            expected = overall[scheme][quantity]["value"] - overall["native"][quantity]["value"]
            assert found[quantity].value == pytest.approx(expected)


def test_only_the_corrected_test_gives_a_direction() -> None:
    assert Change("hit", None, 0.1, 0.05, 0.2, 0.01, True).direction(0.95) == 1
    assert Change("hit", None, -0.1, -0.2, -0.05, 0.01, True).direction(0.95) == -1
    assert Change("hit", None, 0.1, 0.05, 0.2, 0.06, True).direction(0.95) == 0
    assert Change("hit", None, 0.1, None, None, None, True).direction(0.95) == 0
