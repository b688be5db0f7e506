"""Writes the pictures and the table of README.md from a demo: python docs/figures.py bapa-demo, or `make figures`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bapa.measure import load_run
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


def table(runs: list[tuple[str, dict]], command: str) -> str:
    """The overall figures of the runs in Markdown."""
    lines = [f"| model | scheme | {' | '.join(COLUMNS.values())} |", f"|---|---|{'---|' * len(COLUMNS)}"]
    for name, bias in runs:
        for scheme, found in bias["schemes"].items():
            estimates = [found["overall"][key] for key in COLUMNS]
            cells = [f"{percent(e['value'], 1)} <sub>{interval(e, 1)}</sub>" for e in estimates]
            lines.append(f"| `{name}` | `{scheme}` | {' | '.join(cells)} |")
    items, level = runs[0][1]["probe"]["items"], percent(runs[0][1]["level"])
    note = f"Per cent, with {level} % bootstrap intervals over {items} digits, each in every cell: `{command}`."
    return "\n".join([*lines, "", note, ""])


def main(folder: Path) -> None:
    """Fill README.md from the demo in ``folder``."""
    runs = [(run.bias["model"]["name"], run.bias) for run in map(load_run, (folder / "bottom", folder / "top"))]
    for theme in ("light", "dark"):
        save(heatmaps(runs, dark=theme == "dark"), HERE / f"heatmaps-{theme}.svg", "svg")
    text, found = MARKS.subn(
        lambda marks: f"{marks[1]}\n{table(runs, 'make demo')}\n{marks[2]}", README.read_text("utf-8")
    )
    if found != 1:
        sys.exit(f"{README} must hold the two marks of the figures once")
    README.write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
