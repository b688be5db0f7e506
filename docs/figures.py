"""Writes the pictures and tables of README.md and docs/paper.md from run folders.

python docs/figures.py RUN..., or `make figures`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bapa.measure import Run, load_run
from bapa.report.figures import heatmaps, save
from bapa.report.view import interval, percent

HERE = Path(__file__).parent
PAGES = (HERE.parent / "README.md", HERE / "paper.md")
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


def variances(runs: Sequence[Run]) -> str:
    """Mean and variance over cells as the paper gives them, in Markdown."""
    lines = ["| model | scheme | balanced accuracy | variance over cells |", "|---|---|---|---|"]
    for run in runs:
        for scheme, found in run.bias["schemes"].items():
            mean, spread = (found["overall"][key] for key in ("balanced_accuracy", "variance_corrected"))
            value, low, high = (f"{10_000 * spread[key]:.1f}" for key in ("value", "low", "high"))
            shown = f"{percent(mean['value'], 1)} <sub>{interval(mean, 1)}</sub> | {value} <sub>[{low}, {high}]</sub>"
            lines.append(f"| `{run.bias['model']['name']}` | `{scheme}` | {shown} |")
    note = "Variance in squared points, less the share that chance alone would give; the paper's is not corrected."
    return "\n".join([*lines, "", note, ""])


def main(folders: Sequence[str]) -> None:
    """Fill the pages from the runs in ``folders``."""
    runs = [load_run(folder) for folder in folders]
    pictured = [(run.bias["model"]["name"], run.bias) for run in runs[:PICTURED]]
    for theme in ("light", "dark"):
        save(heatmaps(pictured, dark=theme == "dark"), HERE / f"heatmaps-{theme}.svg", "svg")
    for page, tables in zip(PAGES, ([table(runs)], [variances(runs), table(runs)]), strict=True):
        filled = "\n".join(tables)
        text, found = MARKS.subn(lambda marks, new=filled: f"{marks[1]}\n{new}\n{marks[2]}", page.read_text("utf-8"))
        if found != 1:
            sys.exit(f"{page} must hold the two marks of the figures once")
        page.write_text(text, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
