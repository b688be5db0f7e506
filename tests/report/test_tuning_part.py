"""Tuning curves on the report of a tuned model."""

from __future__ import annotations

import json
from pathlib import Path

from bapa.measure import Run
from bapa.report import tuning


def record(**changes: object) -> dict:
    overall = {"hit": {"value": 0.5}, "range": {"value": 0.3}}
    found = {
        "config": {"model": {"name": "m"}, "scheme": "bapa", "data": {"rows": 12, "name": "<chats>"}},
        "loss": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.25}],
        "evaluations": [{"step": step, "schemes": {"bapa": {"overall": overall}}} for step in (0, 2)],
        "command": "bapa tune m",
    }
    return {**found, **changes}


def run(folder: Path) -> Run:
    return Run(folder / "run", {}, {"model": {"name": str(folder)}})


def test_the_record_beside_the_model_is_told_and_drawn(tmp_path: Path) -> None:
    (tmp_path / "tune.json").write_text(json.dumps(record()))
    part = tuning.part(run(tmp_path))
    assert part is not None
    said, drawn = part.body
    assert said == "Tuned from m under bapa on 12 rows of <chats>: 2 steps, last loss 1.250."
    assert part.commands == ["bapa tune m"]
    assert 'alt="Loss by step, and hit rate and range of the probe by step"' in drawn


def test_a_model_that_was_not_tuned_has_no_part(tmp_path: Path) -> None:
    assert tuning.part(run(tmp_path)) is None
    (tmp_path / "tune.json").write_text(json.dumps(record(loss=[])))
    assert tuning.part(run(tmp_path)) is None
