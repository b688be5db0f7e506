"""The tables of docs/studies/pretrained.md: of the first training from its answers, kept here, and of the second.

``python -m studies.pretrained.page`` writes figures from the answers, and tables from the figures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from studies.pretrained import second
from studies.pretrained.figures import compare, models
from studies.study import filled

HERE = Path(__file__).parent
ANSWERS, TRAINING, RECORD = HERE / "answers.parquet", HERE / "training.json", HERE / "record.json"
PAGE = HERE.parent.parent / "docs" / "studies" / "pretrained.md"
SETS = {"planned": False, "trained things": True}


def figures() -> dict[str, Any]:
    """The record: figures of every model and rule, and over seeds, for both sets of items."""
    answers = pd.read_parquet(ANSWERS).astype({"model": str, "kind": str, "scheme": str, "asked": str})
    found = {label: models(answers, known) for label, known in SETS.items()}
    return {"models": found, "over seeds": {label: compare(one) for label, one in found.items()}}


def tables(record: dict[str, Any], training: dict[str, Any]) -> dict[str, str]:
    """Every table of the page, by the name of its place."""
    return {
        "training": _training(training),
        **{f"models: {label}": _models(record["models"][label]) for label in SETS},
        **{f"seeds: {label}": _seeds(record["over seeds"][label]) for label in SETS},
        **second.tables(),
    }


def _training(training: dict[str, Any]) -> str:
    lines = [
        "| model | steps | reached .85 | seen, seen layout | seen, full grid | held out, seen layout | both held out |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for name, one in training.items():
        end = one["at the end"]
        kinds = ("drawings and layout seen", "layout held out", "drawings held out", "both held out")
        reached = f"step {one['reached']['step']}" if one["reached"] else "no"
        lines.append(f"| {name} | {one['steps']} | {reached} | {' | '.join(_points(end[kind]) for kind in kinds)} |")
    return "\n".join(lines)


def _models(found: dict[str, Any]) -> str:
    columns = ("mean AUC", "range", "worst cell", "AUC by cell, row by row", "hits", "false alarms")
    lines = [f"| model | rule | items | {' | '.join(columns)} |", "|---|---|---|---|---|---|---|---|---|"]
    for key, one in found.items():
        model, rule = key.split(" ", 1)
        cells = [_points(value, 0) for value in one["auc"]]
        grid = " / ".join(" ".join(cells[row : row + 3]) for row in (0, 3, 6))
        figures = [_points(one[what]) for what in ("mean", "range", "worst")]
        rates = [_points(one[what], 0) for what in ("hits", "false_alarms")]
        lines.append(f"| {model} | `{rule}` | {one['items']} | {' | '.join(figures)} | {grid} | {' | '.join(rates)} |")
    return "\n".join(lines)


def _seeds(found: dict[str, Any]) -> str:
    lines = [
        "| what | seeds | mean | 95 % interval | p | p, equivalence test (±2 points) |",
        "|---|---|---|---|---|---|",
    ]
    for arm, one in found["range"].items():
        lines.append(_row(f"{arm}: range over cells", one))
    lines += [_row(f"{arm}: {_NAMES['middle']}", one) for arm, one in found["middle"].items()]
    for label, both in found["against"].items():
        lines += [_row(f"{label}: {_NAMES[what]}", one) for what, one in both.items()]
    for label, changes in found["change"].items():
        arm, rule = label.split(" ", 1)
        lines += [_row(f"{arm}, native to `{rule}`: {_NAMES[what]}", one) for what, one in changes.items()]
    lines += [
        "",
        "| arm | mean correlation of maps between seeds | 95th centile with cells shuffled |",
        "|---|---|---|",
    ]
    lines += [f"| {arm} | {one['mean']:.2f} | {one['null95']:.2f} |" for arm, one in found["agreement"].items()]
    return "\n".join(lines)


_NAMES = {
    "range": "range",
    "worst": "worst cell",
    "mean": "mean AUC",
    "accuracy": "accuracy, threshold refitted",
    "middle": "middle cell less the mean (post hoc)",
}


def _row(label: str, one: dict[str, Any]) -> str:
    if one["low"] is None:
        return f"| {label} | {one['n']} | {_points(one['mean'])} | – | – | – |"
    interval = f"{_points(one['low'])} to {_points(one['high'])}"
    return f"| {label} | {one['n']} | {_points(one['mean'])} | {interval} | {one['p']:.3f} | {one['same']:.3f} |"


def _points(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f}".replace("-", "−")


def write() -> None:
    """Figures, record, page."""
    record = figures()
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    training = json.loads(TRAINING.read_text())
    PAGE.write_text(filled(PAGE.read_text("utf-8"), PAGE.name, tables(record, training)), "utf-8")


if __name__ == "__main__":
    write()
