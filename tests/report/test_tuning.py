"""The page of a tuning run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bapa.report import tuning
from bapa.report.between import Between, Row, between
from studies.coverage.planted import World, steep


def record(*steps: int, name: str = "model") -> dict[str, Any]:
    def estimate(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.02, "high": value + 0.02}

    overall = {key: estimate(0.4) for key in tuning.CURVES}
    return {
        "config": {
            "model": {"name": name},
            "scheme": "bapa",
            "data": {"name": "chats.json", "rows": 12},
            "settings": {"full": False, "rank": 8},
        },
        "command": "bapa tune model --data chats.json --out out",
        "processes": 2,
        "left_out": ["row 3: no answer"],
        "versions": {"trl": "1.16.0"},
        "loss": [{"step": step, "loss": 2.0 / step} for step in (1, 2, 4)],
        "evaluations": [
            {"step": step, "items": 10, "schemes": {"bapa": {"overall": overall}, "native": {"overall": overall}}}
            for step in steps
        ],
    }


def test_the_terminal_says_the_loss_and_the_probe_before_and_after(tmp_path: Path) -> None:
    found = record(0, 4)
    found["evaluations"][1]["schemes"]["native"] = {
        "overall": {key: {"value": 0.625, "low": 0.6, "high": 0.65} for key in tuning.CURVES}
    }
    write(tmp_path, found)
    loss, bapa, native = tuning.lines(tmp_path)
    assert loss == "loss 2.000 at step 1, 0.500 at step 4"
    assert bapa.startswith("bapa: ")
    assert "40.0 to 40.0" in bapa
    assert "40.0 to 62.5" in native


def write(folder: Path, found: dict[str, Any]) -> Path:
    (folder / "tune.json").write_text(json.dumps(found), "utf-8")
    return tuning.write(folder)


def test_it_shows_loss_figures_and_the_command(tmp_path: Path) -> None:
    page = write(tmp_path, record(0, 4)).read_text("utf-8")
    assert "12 rows of <code>chats.json</code> (1 left out)" in page
    assert "4 steps, last loss 0.500" in page
    assert page.count("40.0 <span>[38.0, 42.0]</span>") == 2 * 2 * len(tuning.CURVES)
    assert "bapa tune model --data chats.json --out out" in page
    assert "bapa: mean hit rate" in page, "the legend is text"


def test_without_a_probe_only_the_loss_is_drawn(tmp_path: Path) -> None:
    page = write(tmp_path, record()).read_text("utf-8")
    assert "What the probe said" not in page
    assert len(tuning.curves(record()).axes) == 1
    assert len(tuning.curves(record(0)).axes) == 2


@pytest.mark.parametrize("steps", [(), (0, 4)])
def test_without_a_loss_the_page_says_so_and_draws_what_there_is(tmp_path: Path, steps: tuple[int, ...]) -> None:
    found = {**record(*steps), "loss": []}
    page = write(tmp_path, found).read_text("utf-8")
    assert f"<p>{tuning.UNLOGGED}</p>" in page
    assert "no loss logged" in page
    assert ("<svg" in page, "Did 4 steps under" in page) == (bool(steps), bool(steps))
    assert "Loss by step" not in page
    assert next(tuning.lines(tmp_path)) == tuning.UNLOGGED
    if steps:
        (axes,) = tuning.curves(found).axes
        assert axes.get_title("left") == "probe, %"


def test_the_page_tells_how_many_steps_there_were_where_the_loss_was_logged_earlier(tmp_path: Path) -> None:
    found = record()
    found["config"]["settings"]["steps"] = 20
    assert "20 steps, last loss 0.500" in write(tmp_path, found).read_text("utf-8")
    assert "20 steps, no loss logged" in write(tmp_path, {**found, "loss": []}).read_text("utf-8")


@pytest.mark.parametrize(
    ("direction", "said"),
    [(-1, "The answers are evener. On 40 items"), (0, "cannot be told. On 40"), (1, "They are less even. On")],
)
def test_the_verdict_says_how_the_range_changed(direction: int, said: str) -> None:
    rows = [Row("bapa", "Range of the AUC", "−9.0", "[−12.0, −6.0]", "p = 0.01", direction)]
    (sentence,) = tuning.verdict(record(0, 4), Between("step 0", "step 4", 40, rows))
    assert said in sentence
    assert "range of the AUC −9.0 points [−12.0, −6.0] (p = 0.01)" in sentence


@dataclass(frozen=True)
class Asked:
    """Stands for a run of 60 items under ``bapa``."""

    frame: pd.DataFrame
    bias = {"probe": {"fingerprint": "f", "rows": 3, "cols": 3}, "level": 0.95, "schemes": {"bapa": {}}}
    cluster = "auto"

    def answers(self) -> pd.DataFrame:
        return self.frame.assign(scheme="bapa")


@pytest.mark.parametrize("seed", [7, 9])
def test_the_verdict_goes_by_the_corrected_test(seed: int) -> None:
    """Here the interval of the range lies on one side of 0, and the corrected p is above 0.05."""
    world = World(rates=(steep(0.40, 0.85), steep(0.55, 0.80)), items=60)
    frame = world.frame(["one", "two"], np.random.default_rng(seed))
    (told,) = between([(name, Asked(frame[frame["scheme"] == name])) for name in ("one", "two")])
    tested = [row for row in told.rows if row.p != "–"]
    assert all((row.direction != 0) == (float(row.p.split()[-1]) < 0.05) for row in tested)
    assert tuning.verdict(record(0, 4), told)[0].startswith("Whether the answers are evener cannot be told. ")


def test_one_item_has_no_range(tmp_path: Path) -> None:
    found = record(0, 4)
    for entry in found["evaluations"]:
        entry["schemes"]["bapa"]["overall"] |= {"range": {"value": None, "low": None, "high": None}}
    assert "<svg" in write(tmp_path, found).read_text("utf-8")
    of_bapa = tuning.curves(found).axes[1].lines[:2]
    assert [np.isnan(line.get_ydata()).all() for line in of_bapa] == [False, True]
    assert any("range of the hit rate –" in line for line in tuning.lines(tmp_path))


def test_the_verdict_says_what_was_not_asked() -> None:
    assert "tune with --probe" in tuning.verdict(record(), None)[0]
    other = Between("step 0", "step 4", 40, [Row("native", "Mean AUC", "+1.0", "[0.0, 2.0]", "–")])
    assert "not asked under bapa" in tuning.verdict(record(0, 4), other)[0]


def test_names_are_escaped(tmp_path: Path) -> None:
    page = write(tmp_path, record(name="<script>alert(1)</script>")).read_text("utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_same_record_gives_the_same_page(tmp_path: Path) -> None:
    one, two = (write(tmp_path, record(0, 4)).read_bytes() for _ in range(2))
    assert one == two
