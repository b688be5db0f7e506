"""The range over cells where there is nothing to see."""

from __future__ import annotations

import numpy as np
import pytest

from bapa.stats import intervals
from bapa.stats.bias import bias
from bapa.stats.extremes import HALVINGS, Map, difference, picked_range
from tests.stats.planted import answers


@pytest.mark.parametrize("items", [6, 40])
def test_a_range_that_no_item_shows_is_no_certainty(items):
    """Half of the items are found in every cell, half in none: that the cells differ for no item is known of few."""
    frame = answers({"native": 0.9}, items)
    frame["correct"] = (frame["kind"] != "present") | (frame["item"] % 2 == 0)
    frame["margin"] = np.where(frame["correct"] == (frame["kind"] == "present"), 1.0, -1.0)
    overall = bias(frame, rows=3, cols=3)["schemes"]["native"]["overall"]
    never = intervals.share(0.0, np.zeros(items), 0.95, items)["high"]
    for name in ("range", "auc_range"):
        assert overall[name] == {"value": 0.0, "low": 0.0, "high": pytest.approx(never)}


def test_a_change_that_every_item_shows_is_no_accident_and_no_certainty() -> None:
    """Natively all miss one cell, under the rule none misses any: no halving differs from another."""
    clusters, cells = 20, 4
    level, flat = np.array([0.0, 1.0, 1.0, 1.0]), np.ones(cells)
    one, two = (
        Map(values, np.zeros((clusters, cells)), np.tile(values, (HALVINGS, 2, 1)), clusters)
        for values in (level, flat)
    )
    found, p = difference(one, two, picked_range, 0.95)
    assert found["value"] == -1.0
    assert p == pytest.approx(2 * 0.5**clusters)
    assert found["low"] < found["high"] < -0.7
    found, p = difference(two, two, picked_range, 0.95)
    assert (found["value"], p) == (0.0, 1.0)
    assert found["low"] < 0 < found["high"]
