"""The studies in miniature: what they keep is what their pages show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bapa.stats import Settings
from studies.calibration import attention, page, run
from studies.side_effects import page as side_effects
from studies.side_effects import run as side_effects_run


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    few = ("bapa", "calibrated:distance=0.5x", "calibrated:distance=1x")
    for module in (run, page, attention):
        monkeypatch.setattr(module, "DISTANCES", few)
    for name, value in {"ITEMS": 6, "JUDGES": 6, "FRESH": 4, "SCANNED": 4, "SETTINGS": Settings()}.items():
        monkeypatch.setattr(run, name, value)


def kept(monkeypatch: pytest.MonkeyPatch, study: Any, module: Any, tmp_path: Path) -> Any:
    """Runs keep their record in ``tmp_path``; returns what reads it."""
    monkeypatch.setattr("studies.study.ROOT", tmp_path)
    (tmp_path / "studies" / study.name).mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    return study.record


@pytest.mark.slow
def test_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = kept(monkeypatch, page.STUDY, run, tmp_path)
    monkeypatch.setattr("studies.calibration.picture.ROOT", tmp_path)
    run.run(["reference:bottom"], tmp_path / "work")
    found = record()["models"]["bottom-1"]
    assert {"chosen", "fresh", "judging", "scan", "label_free", "transfer", "curve"} <= set(found)
    text = page.blocks(record())[page.STUDIED]
    assert text["verdict"].count("| bottom-1 |") == len(found["fresh"])
    assert "Not measured yet: bottom-2" in text["scan"]
    assert (tmp_path / "docs" / "calibration-light.svg").exists()
    again = record()
    run.run(["reference:bottom"], tmp_path / "work")
    assert record() == again


@pytest.mark.slow
def test_side_effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = kept(monkeypatch, side_effects.STUDY, side_effects_run, tmp_path)
    few = ("native", "bapa")
    for module in (side_effects, side_effects_run):
        monkeypatch.setattr(module, "DISTANCES", few[1:])
        monkeypatch.setattr(module, "RIVALS", ())
        monkeypatch.setattr(module, "KEPT", ())
    for name, value in {"ITEMS": 6, "JUDGES": 6, "ASKED": 4, "SETTINGS": Settings()}.items():
        monkeypatch.setattr(side_effects_run, name, value)
    designs = {task: design.model_copy(update={"items": 4}) for task, design in side_effects_run.DESIGNS.items()}
    monkeypatch.setattr(side_effects_run, "DESIGNS", designs)
    side_effects_run.run(["reference:places"], work=tmp_path / "work")
    (found,) = record().values()
    assert {"native", "bapa"} <= set(found["rules"])
    assert set(found["rules"]["native"]) == {"match", "where", "order", "count"}
    assert "*never looks*" in side_effects.blocks(record())["docs/studies/calibration.md"]["guards"]
