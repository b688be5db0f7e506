"""What rules and parts of a model cost its boxes: planted answers, the tables and the picture."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from bapa.checkpoints import Loaded, load
from bapa.stats.text import interval, percent
from studies.where import picture, pointed, shown
from studies.where.page import STUDY
from studies.where.rules import BLEND, CHANNELS, TRIED, one_at_a_time
from tests.studies.test_sentences import page as read

CELLS, ITEMS = 9, 12


@pytest.fixture(scope="module")
def model() -> Loaded:
    return load("reference:places")


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def told(row: float, col: float, spread: float) -> dict[str, Any]:
    """As :func:`pointed._told` has it."""
    named = {"auc": 0.9, "auc_range": spread, "auc_worst_cell": 0.8, "right": row * col, "row": row, "col": col}
    moved = {"across": 0.1, "down": 0.0, "kept": row * col}
    return {name: estimate(value) for name, value in (named | moved).items()} | {"missed": 0.25}


def test_what_is_kept_is_of_boxes_in_the_right_cell() -> None:
    rows = [
        {"item": item, "cell": cell, "question": 0, "scheme": scheme, "kind": "point", "margin": float("nan")}
        | {"group": item, "caption": str(item), "correct": None if scheme != "native" and cell == 0 else cell < 6}
        for item in range(ITEMS)
        for cell in range(CELLS)
        for scheme in ("native", "bapa")
    ]
    run: Any = SimpleNamespace(answers=lambda: pd.DataFrame(rows))
    assert pointed._kept(run, "bapa", CELLS)["value"] == pytest.approx(5 / 6)  # a reply without a place is wrong
    assert pointed._kept(run, "native", CELLS)["value"] == 1


def test_every_part_is_asked_once_and_by_its_own_rule(
    model: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def tell(_: Loaded, __: Path, ___: Path, rules: list[str], items: int, seed: int) -> dict[str, Any]:
        assert (items, seed) == pointed.MAPPED
        asked.extend(rules)
        return {rule: told(0.9, 0.5, number / 100) for number, rule in enumerate(rules)}

    monkeypatch.setattr(pointed, "_told", tell)
    found = pointed.maps(model, tmp_path, tmp_path)
    wanted = one_at_a_time(4, len(found["waves"]), 4)
    assert list(found["parts"]) == ["native", *wanted]
    assert asked == ["native", *dict.fromkeys(wanted.values())]
    lines = shown.pointing_parts({"m": found}).splitlines()
    assert len(lines) == 2 + 1 + len(wanted)
    assert lines[2].startswith("| m | native |  | 0.0 <sub>")
    assert lines[2].endswith("| 25.0 |")
    assert "| m | rotary pair 3 | " in shown.pointing_parts({"m": found})
    even, placed = picture.pointing({"m": found}, dark=True).axes
    assert even.containers[0].lines[0].get_xdata().tolist()[:3] == pytest.approx([1, 2, 3])
    assert [one.get_label() for one in placed.containers] == ["row", "column"]
    assert set(placed.containers[1].lines[0].get_xdata()) == {50}


def test_the_table_of_rules_says_what_is_kept() -> None:
    (line,) = shown.pointing({"m": {"bapa": told(0.5, 0.5, 0.2)}}).splitlines()[2:]
    assert line.startswith("| m | `bapa` | 20.0 <sub>")
    assert line.count("25.0") == 3  # into the cell, kept, no box
    assert line.endswith("| +0.10 | +0.00 | 25.0 |")


def test_what_the_page_says_of_rules_is_in_the_record() -> None:
    its, said = STUDY.record()["point"]["point-1"], read("docs/studies/where.md")
    for rule, share in (("native", "93.3"), ("bapa", "14.4")):
        right = its[rule]["right"]
        assert percent(right["value"], 1) == share
        assert f"{share} %" in said
        assert interval(right, 1) in said
    right, kept = its[BLEND]["right"], its[BLEND]["kept"]
    assert f"{percent(right['value'], 1)} %, {percent(kept['value'])} % of native {interval(kept)}" in said
    assert f"keeps {percent(its[TRIED[0]]['kept']['value'])} % {interval(its[TRIED[0]]['kept'])}" in said
    assert f"too, {percent(its[TRIED[1]]['kept']['value'])} % {interval(its[TRIED[1]]['kept'])}" in said
    assert all(its[rule]["kept"]["value"] >= 0.975 for rule in ("imccd", "cmpc", "restore", "sofa"))
    row, col = (percent(its[CHANNELS][name]["value"], 1) for name in ("row", "col"))
    assert f"leaves {row} % of the rows and {col} % of the columns" in said
    assert f"({percent(its['native']['auc_range']['value'], 1)} points" in said


def test_what_the_page_says_of_parts_is_in_the_record() -> None:
    its, said = STUDY.record()["point-parts"]["point-1"]["parts"], read("docs/studies/where.md")
    first, short, middle = its["layer 1"], its["band wave<0.6x"], its["band 0.6x-1.8x"]
    assert f"takes the columns to chance ({percent(first['col']['value'], 1)} %)" in said
    assert f"leaves {percent(first['row']['value'])} % of the rows" in said
    assert its["layer 0"]["row"]["high"] < 0.35
    assert its["layer 0"]["col"]["high"] < 0.4
    for one in (short, middle):
        col, row = (percent(one[name]["value"], 1) for name in ("col", "row"))
        assert f"columns {col} %, rows {row} %" in said
    assert all(its[f"band {band}"]["kept"]["value"] >= 0.955 for band in ("1.8x-5.8x", "wave>5.8x"))
    assert its["layer 3"]["kept"]["value"] >= 1
    assert its["layer 2"]["kept"] == its["layer 2, head 0"]["kept"]
    assert round(1 - its["layer 2"]["kept"]["value"], 1) == 0.1
