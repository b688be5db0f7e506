"""Writes the pictures and the table of README.md from run folders: python docs/figures.py RUN..., or `make figures`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bapa.measure import Run, load_run
from bapa.report.figures import heatmaps, save
from bapa.report.view import interval, percent

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
MARKS = re.compile(r"(<!-- figures: .*? -->\n).*?(<!-- end of figures -->)", re.DOTALL)
COLUMNS = {
    "hit": "mean hit rate",
    "range": "range over cells",
    "consistency": "consistency",
    "false_alarm": "false alarms",
}
PICTURED = 2  # of the runs, the first ones


def table(runs: Sequence[Run]) -> str:
    """The overall figures of the runs in Markdown, with the commands that make them."""
    lines = [f"| model | scheme | {' | '.join(COLUMNS.values())} |", f"|---|---|{'---|' * len(COLUMNS)}"]
    for run in runs:
        for scheme, found in run.bias["schemes"].items():
            estimates = [found["overall"][key] for key in COLUMNS]
            cells = " | ".join(f"{percent(e['value'], 1)} <sub>{interval(e, 1)}</sub>" for e in estimates)
            lines.append(f"| `{run.bias['model']['name']}` | `{scheme}` | {cells} |")
    commands = dict.fromkeys(run.config["command"] for run in runs)
    about = (
        f"Per cent, with {percent(runs[0].bias['level'])} % bootstrap intervals over {runs[0].bias['probe']['items']}"
    )
    note = f"{about} items, each asked about in every cell. Made by `make figures`:"
    return "\n".join([*lines, "", note, "", "```sh", *commands, "```", ""])


def main(folders: Sequence[str]) -> None:
    """Fill README.md from the runs in ``folders``."""
    runs = [load_run(folder) for folder in folders]
    pictured = [(run.bias["model"]["name"], run.bias) for run in runs[:PICTURED]]
    for theme in ("light", "dark"):
        save(heatmaps(pictured, dark=theme == "dark"), HERE / f"heatmaps-{theme}.svg", "svg")
    text, found = MARKS.subn(lambda marks: f"{marks[1]}\n{table(runs)}\n{marks[2]}", README.read_text("utf-8"))
    if found != 1:
        sys.exit(f"{README} must hold the two marks of the figures once")
    README.write_text(text, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
