"""The tables of docs/coverage.md, from the record.

The record, by part: ``runs`` and what was ``found``. Of ``coverage``: truth -> quantity -> how often its interval holds
it; of ``type I``, ``equal ranges`` and ``power``: truth -> test -> how often it rejects at 5 %; of ``reports``: what
was said.
"""

from __future__ import annotations

from typing import Any

from bapa.stats.text import percent
from studies.study import Blocks, Study, table

TESTS = {
    "place, AUC": "place, by AUC",
    "place, hits": "place, by hits",
    "auc": "mean AUC",
    "auc_range": "range of the AUC",
    "auc_worst_cell": "worst cell, AUC",
    "hit": "mean hits",
    "range": "range of the hits",
    "worst_cell": "worst cell, hits",
    "false_alarm": "false alarms",
    "balanced_accuracy": "balanced accuracy",
    "consistency": "consistency",
    "auc of a cell": "AUC of a cell",
    "hit of a cell": "hits of a cell",
}
LEAST, MOST = 0.93, 0.97  # share of intervals that shall hold the truth
SLACK = 2  # standard errors of a simulated share, by which it may lie outside


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    return {
        "docs/coverage.md": {
            "intervals": intervals(record.get("coverage")),
            "outside": outside(record.get("coverage")),
            "type I": tests(record.get("type I")),
            "equal ranges": tests(record.get("equal ranges")),
            "power": tests(record.get("power")),
            "reports": reports(record.get("reports")),
            "origin": reports(record.get("origin")),
        }
    }


def intervals(part: dict[str, Any] | None) -> str:
    """How often each interval holds the truth, in per cent."""
    if part is None:
        return ""
    found = part["found"]
    names = list(dict.fromkeys(name for told in found.values() for name in told if name != "mass"))
    rows = [
        [name, *(percent(told[name]["holds"], 1) if name in told else "–" for told in found.values())] for name in names
    ]
    return f"{part['runs']} runs of each truth.\n\n{table(['interval', *found], rows)}"


def outside(part: dict[str, Any] | None) -> str:
    """Every interval that holds the truth less or more often than it shall, beyond the simulation's own error."""
    if part is None:
        return ""
    rare, often = [], []
    for truth, told in part["found"].items():
        for name, its in told.items():
            if name == "mass":
                continue
            slack = SLACK * (max(0.0, its["holds"] * (1 - its["holds"])) / its["runs"]) ** 0.5
            entry = f"{name} ({truth}: {percent(its['holds'], 1)} %)"
            if its["holds"] + slack < LEAST:
                rare.append(entry)
            elif its["holds"] - slack > MOST:
                often.append(entry)
    lines = [
        f"Below {percent(LEAST)} %: {'; '.join(rare) or 'none'}.",
        f"Above {percent(MOST)} %: {'; '.join(often) or 'none'}.",
    ]
    return "\n\n".join(lines)


def tests(part: dict[str, Any] | None) -> str:
    """How often each test rejects at 5 %, in per cent."""
    if part is None:
        return ""
    found = part["found"]
    rows = [[title, *(percent(told.get(name), 1) for told in found.values())] for name, title in TESTS.items()]
    return f"{part['runs']} runs of each.\n\n{table(['test', *found], rows)}"


def reports(part: dict[str, Any] | None) -> str:
    """What was said of planted truths."""
    if part is None:
        return ""
    lines = []
    for truth, told in part["found"].items():
        counts = {"reports", "runs"}
        texts = [f"{n} {value}" if n in counts else f"{n} {percent(value, 1)} %" for n, value in told.items()]
        shares = ", ".join(texts)
        lines.append(f"- {truth}: {shares}.")
    return "\n".join(lines)


STUDY = Study("coverage", blocks)
