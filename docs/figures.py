"""Writes the pictures and tables of README.md and docs/paper.md from run folders.

python docs/figures.py RUN..., or `make figures`. The figures of the tables are kept in docs/figures.json, so that a
table which was changed by hand, or is out of step with the other page, can be told.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bapa.measure import Run, load_run
from bapa.report.figures import heatmaps, save
from bapa.report.view import interval, percent

HERE = Path(__file__).parent
RECORD = HERE / "figures.json"
README, PAPER = HERE.parent / "README.md", HERE / "paper.md"
MARKS = re.compile(r"(<!-- figures: .*? -->\n).*?(<!-- end of figures -->)", re.DOTALL)
COLUMNS = {
    "hit": "mean hit rate",
    "range": "range over cells",
    "consistency": "consistency",
    "false_alarm": "false alarms",
}
KEPT = (*COLUMNS, "balanced_accuracy", "variance_corrected")
PICTURED = 2  # of the runs, the first ones

Record = list[dict[str, Any]]


def record(runs: Sequence[Run]) -> Record:
    """What the tables need of each run."""
    return [
        {
            "model": run.bias["model"]["name"],
            "command": run.config["command"],
            "level": run.bias["level"],
            "items": run.bias["probe"]["items"],
            "schemes": {
                label: {key: _rounded(found["overall"][key]) for key in KEPT}
                for label, found in run.bias["schemes"].items()
            },
        }
        for run in runs
    ]


def _rounded(estimate: dict[str, float]) -> dict[str, float]:
    return {end: round(number, 9) for end, number in estimate.items()}


def table(runs: Record) -> str:
    """The overall figures of the runs in Markdown, with the commands that make them."""
    lines = [f"| model | scheme | {' | '.join(COLUMNS.values())} |", f"|---|---|{'---|' * len(COLUMNS)}"]
    for name, scheme, found in _rows(runs):
        cells = " | ".join(f"{percent(e['value'], 1)} <sub>{interval(e, 1)}</sub>" for e in map(found.get, COLUMNS))
        lines.append(f"| `{name}` | `{scheme}` | {cells} |")
    commands = dict.fromkeys(run["command"] for run in runs)
    about = f"Per cent, with {percent(runs[0]['level'])} % bootstrap intervals over {runs[0]['items']}"
    note = f"{about} items, each asked about in every cell. Made by `make figures`:"
    return "\n".join([*lines, "", note, "", "```sh", *commands, "```", ""])


def variances(runs: Record) -> str:
    """Mean and variance over cells as the paper gives them, in Markdown."""
    lines = ["| model | scheme | balanced accuracy | variance of the hit rate over cells |", "|---|---|---|---|"]
    for name, scheme, found in _rows(runs):
        mean, spread = found["balanced_accuracy"], found["variance_corrected"]
        value, low, high = (f"{10_000 * spread[end]:.1f}".replace("-", "−") for end in ("value", "low", "high"))
        shown = f"{percent(mean['value'], 1)} <sub>{interval(mean, 1)}</sub> | {value} <sub>[{low}, {high}]</sub>"
        lines.append(f"| `{name}` | `{scheme}` | {shown} |")
    note = "Variance in squared points, less the share that chance alone would give; the paper's is not corrected."
    return "\n".join([*lines, "", note, ""])


def _rows(runs: Record) -> Iterator[tuple[str, str, dict[str, Any]]]:
    yield from ((run["model"], scheme, found) for run in runs for scheme, found in run["schemes"].items())


def filled(page: Path, runs: Record) -> str:
    """The text of ``page`` with its tables written anew."""
    tables = {README: [table(runs)], PAPER: [variances(runs), table(runs)]}[page]
    new = "\n".join(tables)
    text, found = MARKS.subn(lambda marks: f"{marks[1]}\n{new}\n{marks[2]}", page.read_text("utf-8"))
    if found != 1:
        sys.exit(f"{page} must hold the two marks of the figures once")
    return text


def main(folders: Sequence[str]) -> None:
    """Draw the pictures and fill the pages from the runs in ``folders``."""
    runs = [load_run(folder) for folder in folders]
    pictured = [(run.bias["model"]["name"], run.bias) for run in runs[:PICTURED]]
    for theme in ("light", "dark"):
        save(heatmaps(pictured, dark=theme == "dark"), HERE / f"heatmaps-{theme}.svg", "svg")
    kept = record(runs)
    RECORD.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    for page in (README, PAPER):
        page.write_text(filled(page, kept), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
