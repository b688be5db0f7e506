"""The page of the tuning study: what is found in a folder of runs, whichever skews and rules that are."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from docs import tuning

PAGE = "".join(
    f"<!-- {mark}: written by docs/tuning.py -->\nold\n<!-- end of {mark} -->\n"
    for mark in ("extent", "verdicts", "figures")
)


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
    overall = {name: {"value": 0.25} for name in tuning.OVERALL}
    schemes = {label: {"overall": overall} for label in labels}
    return SimpleNamespace(answers=lambda: answers, bias={"schemes": schemes})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    runs = {
        "center/1/training-free": run("native", "bapa", right=2),
        "center/2/training-free": run("native", "bapa", right=4),
        "center/1/native/measured": run("native", right=3),
        "center/2/native/measured": run("native", right=3),
        "center/1/bapa/measured": run("bapa", "native", right=9),
        "center/2/bapa/measured": run("bapa", "native", right=3),
        "uniform/1/training-free": run("native", right=0),
        "uniform/1/shuffle/measured": run("shuffle", "native"),
    }
    for name in runs:
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "center" / "data-1").mkdir()
    monkeypatch.setattr(tuning, "finished", lambda path: runs.get(str(path.relative_to(tmp_path))))
    return tmp_path


def test_the_page_shows_what_is_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "PAGE", home / "page.md")
    (home / "page.md").write_text(PAGE)
    for _ in range(2):  # again over itself
        tuning.write(home)
        text = (home / "page.md").read_text()
        assert "old" not in text
        assert "| center | 1, 2 | 2 | 1, 2: `native` `bapa` |" in text
        assert "| uniform | 1 | 1 | 1: `shuffle` |" in text
        # Hits over the eight unseen cells: 9 of 10 against 3 of 10, and 3 against 3.
        assert "| center | `bapa` | 2 | 30.0 | 1, 0 | 30.0 | 1, 0 | 25.0, 25.0 | 25.0, 25.0 |" in text
        assert "| `bapa` | 1 | 30.0 | 70.0 | 90.0 | 10.0 | 60.0 <sub>" in text
        assert text.count("### `") == 2
        assert "top" not in text
        assert "| `native` | training-free | 2 | 30.0 |" in text
        assert "| `bapa` | tuned, then run natively | 2 | 60.0 |" in text


def test_where_every_cell_was_asked_about_all_count(home: Path) -> None:
    only = tuning.Results.read(home, "uniform")
    assert tuning.unseen(only.before[1], "native", "uniform").mean() == pytest.approx(1 / 9)
    assert tuning.unseen(only.before[1], "native", "center").mean() == 0


def test_the_shipped_page_has_its_marks() -> None:
    tuning.page([], tuning.PAGE.read_text("utf-8"))
