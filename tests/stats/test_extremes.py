"""The range over cells where there is nothing to see."""

from __future__ import annotations

import numpy as np
import pytest

from bapa.stats import intervals
from bapa.stats.bias import bias
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
