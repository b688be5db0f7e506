"""What a check is said to take is what it does."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from bapa.calibrate.candidates import STRIDES
from bapa.calibrate.cost import rounds
from bapa.calibrate.pace import Pace
from bapa.calibrate.search import Search
from bapa.check.estimate import GUARDS, PICK, STEPS, WarmUp, estimate


def test_a_search_asks_as_many_pairs_of_item_and_rule_as_a_check_estimates() -> None:
    """Native positions and the paper's rule never leave, which costs too."""
    asked: list[int] = []

    def ask(name: str, start: int, stop: int, candidates: Sequence[str]) -> pd.DataFrame:
        asked.append((stop - start) * len(candidates))
        values = np.random.default_rng(len(name)).random((len(candidates), stop - start))
        rows = [(one, item, values[n, item - start]) for n, one in enumerate(candidates) for item in range(start, stop)]
        return pd.DataFrame(rows, columns=["scheme", "item", "value"])

    session: Any = SimpleNamespace(ask=ask, probe=SimpleNamespace(cells=9))
    search = Search(session, PICK, "accuracy")
    search.pace = search.criterion = lambda rows, cells: rows["value"].to_numpy(float)
    search.run(STEPS)
    rough, fine = rounds(PICK, STEPS + 2, 2, 2), rounds(PICK, 2 + len(STRIDES), 1, 0)
    assert sum(asked) == sum(many * rules for many, rules in (*rough, *fine)) == 264
    free = Pace(once=0.0, rule=1.0, memory=0)
    some = estimate(WarmUp(free, 0.0, 0.0, 0.0, 0.0), 100)
    assert some.calibrate == 264 + 2 * 100 + len(GUARDS) * PICK * 4
