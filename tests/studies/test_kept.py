"""What a search under a promise found on a model of the bench: read from the calibrated folder, and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bapa.stats.text import interval, percent
from studies.taught import kept, page
from tests.studies.test_sentences import page as read


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


def point(candidate: str, spread: float, rows: float) -> dict[str, Any]:
    told = {"range": estimate(spread), "worst": estimate(1 - spread), "mean": estimate(0.8)}
    return {"candidate": candidate, "items": 16, "even": 1 - spread, **told, "kept": {"where": estimate(rows)}}


def calibrated(folder: Path) -> Path:
    """Native, an even rule that loses the rows, one that keeps them, and one that others surpass."""
    points = [point("native", 0.3, 1), point("bapa", 0.05, 0.3), point("cmpc", 0.2, 0.97), point("imccd", 0.25, 0.5)]
    figures = {name: estimate(0.2) for name in ("mean", "worst", "range")}
    judged = {"rules": {"native": figures, "cmpc": figures}, "change": {"range": estimate(-0.1)}}
    promise = {"keep": 0.9, "chosen": "cmpc", "points": points, "tasks": ["where"], "judged": judged}
    rules = [{"candidate": one, "hit": estimate(0.7), "kept": estimate(0.95)} for one in ("native", "bapa", "cmpc")]
    found = {"chosen": "cmpc", "promise": promise, "guards": [{"rules": rules}]}
    (folder / "calibration").mkdir()
    (folder / "calibration" / "calibration.json").write_text(json.dumps(found))
    return folder


def test_the_frontier_and_what_was_judged_are_told(tmp_path: Path) -> None:
    found = kept.told(calibrated(tmp_path))
    assert (found["chosen"], found["tried"], found["held"]) == ("cmpc", 4, ["cmpc"])
    assert [one["candidate"] for one in found["picked"]] == ["native", "bapa", "cmpc"]
    assert list(found["judged"]) == ["native", "cmpc"]
    assert found["judged"]["cmpc"]["kept"] == estimate(0.95)
    lines = kept.picked({"1": found}).splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == ["`native`", "`bapa`", "`cmpc`"]
    assert "97.0 <sub>" in lines[2]
    assert kept.judged({"1": found}).splitlines()[3].startswith("| 1 | `cmpc` | 20.0 <sub>")


def test_the_page_shows_every_model_of_the_record() -> None:
    record = page.STUDY.record()
    told = page.blocks(record)["docs/studies/taught.md"]
    for seed, its in record["kept"].items():
        assert f"| {seed} | `{its['chosen']}` | " in told["judged"]
        assert f"| {seed} | `native` | " in told["picked"]


def test_what_the_page_says_of_the_search_is_in_the_record() -> None:
    its, said = page.STUDY.record()["kept"]["1"], read("docs/studies/taught.md")
    native, chosen = its["judged"]["native"], its["judged"][its["chosen"]]
    for one in (native["mean"], native["rows"]):
        assert f"{percent(one['value'], 1)} %" in said
        assert interval(one, 1) in said
    assert native["mean"]["low"] < 0.5  # so nothing can be told
    assert native["rows"]["low"] < 1 / 3
    assert its["chosen"] in said
    told = [f"{percent(one['range']['value'], 1)} " for one in (chosen, native)]
    assert f"({told[0]}points {interval(chosen['range'], 1)}, natively {told[1]}{interval(native['range'], 1)})" in said
