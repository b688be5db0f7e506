"""Keeps the overall figures of run folders and draws the heat maps of the first two: ``make figures``."""

from __future__ import annotations

from pathlib import Path

from bapa.measure import Run, load_run
from bapa.report.figures import heatmaps, save
from studies.figures.page import COLUMNS, STUDY, Record
from studies.study import ROOT

KEPT = (*COLUMNS, "balanced_accuracy", "variance_corrected")
PICTURED = 2  # of the runs, the first ones


def run(folders: list[Path]) -> None:
    """Keep the figures of the runs in FOLDERS and draw the heat maps of README.md."""
    runs = [load_run(folder) for folder in folders]
    pictured = [(run.bias["model"]["name"], run.bias) for run in runs[:PICTURED]]
    for theme in ("light", "dark"):
        save(heatmaps(pictured, dark=theme == "dark"), ROOT / "docs" / f"heatmaps-{theme}.svg", "svg")
    STUDY.keep(record(runs))


def record(runs: list[Run]) -> Record:
    """What the tables need of each run."""
    return [
        {
            "model": run.bias["model"]["name"],
            "command": run.config["command"],
            "level": run.bias["level"],
            "items": run.bias["probe"]["items"],
            "schemes": {
                label: {key: {end: round(x, 9) for end, x in found["overall"][key].items()} for key in KEPT}
                for label, found in run.bias["schemes"].items()
            },
        }
        for run in runs
    ]
