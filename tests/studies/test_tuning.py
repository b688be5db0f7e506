"""What the record of the tuning study holds, whichever seeds and rules were run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from studies.tuning import page
from studies.tuning.run import found, over_seeds, unseen


def run(*labels: str, right: int = 5) -> Any:
    """A run of ten items over nine cells; ``right`` of the ten are answered right, in the middle cell all."""
    answers = pd.DataFrame(
        [
            {"scheme": label, "kind": kind, "cell": cell, "item": str(item), "correct": cell == 4 or item < right}
            for label in labels
            for kind in ("present", "absent")
            for cell in range(9)
            for item in range(10)
        ]
    )
    overall = {name: {"value": 0.25} for name in page.OVERALL}
    schemes = {label: {"overall": overall} for label in labels}
    return SimpleNamespace(answers=lambda: answers, bias={"schemes": schemes})


@pytest.fixture
def record() -> dict[str, Any]:
    before = {1: run("native", "bapa", right=2), 2: run("native", "bapa", "anchored", right=4)}
    after = {
        "native": {1: run("native", right=3), 2: run("native", right=3)},
        "bapa": {1: run("bapa", "native", right=9), 2: run("bapa", "native", right=3)},
    }
    alone = {"shuffle": {1: run("shuffle", "native")}}
    return {"center": found("center", before, after), "uniform": found("uniform", {1: run("native", right=0)}, alone)}


def test_the_page_shows_what_is_there(record: dict[str, Any]) -> None:
    text = "\n".join(page.blocks(record)["docs/studies/tuning.md"].values())
    assert "| center | 1, 2 | 3 | 1, 2: `native` `bapa` |" in text
    assert "| uniform | 1 | 1 | 1: `shuffle` |" in text
    # Hits over the eight unseen cells: 9 of 10 against 3 of 10, and 3 against 3.
    assert "| center | `bapa` | 2 | 30.0 | 1, 0 | 30.0 | 1, 0 | 25.0, 25.0 | 25.0, 25.0 |" in text
    assert "| `bapa` | 1 | 30.0 | 70.0 | 90.0 | 10.0 | 60.0 <sub>" in text
    assert text.count("### `") == 2
    assert "top" not in text
    assert "| `native` | training-free | 2 | 30.0 |" in text
    assert "| `anchored` | training-free | 1 | 40.0 |" in text
    assert "| `bapa` | tuned, then run natively | 2 | 60.0 |" in text


def test_where_every_cell_was_asked_about_all_count() -> None:
    assert unseen(run("native", right=0), "native", "uniform").mean() == pytest.approx(1 / 9)
    assert unseen(run("native", right=0), "native", "center").mean() == 0


def test_student_over_three_seeds_and_nothing_over_two() -> None:
    # t(0.975, 2) = 4.3027; standard error of 1, 2, 3 is 1 / sqrt(3).
    assert over_seeds([1, 2, 3]) == {"mean": 2, "half": pytest.approx(4.3027 / 3**0.5, abs=1e-4)}
    assert over_seeds([1, 2]) == {"mean": 1.5, "half": None}
