"""The tables of docs/studies/coverage.md, from the record.

The record, by part: ``runs`` and what was ``found``. Of ``coverage`` and ``shapes``: truth -> quantity -> how often its
interval holds
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
        "docs/studies/coverage.md": {
            "intervals": intervals(record.get("coverage")),
            "outside": outside(record.get("coverage")),
            "shapes": shapes(record.get("shapes")),
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
    found = part["found"]
    rare: dict[str, list[str]] = {}
    often: dict[str, list[str]] = {}
    beyond = [0, 0]
    for truth, told in found.items():
        for name, its in told.items():
            if name == "mass":
                continue
            holds = its["holds"]
            slack = SLACK * (max(0.0, holds * (1 - holds)) / its["runs"]) ** 0.5
            beyond[0] += holds < LEAST
            beyond[1] += holds > MOST
            if holds + slack < LEAST:
                rare.setdefault(name, []).append(f"{truth} {percent(holds, 1)}")
            elif holds - slack > MOST:
                often.setdefault(name, []).append(percent(holds, 1))
    counted = len(found) * len({name for told in found.values() for name in told} - {"mass"})
    few, many = (sum(map(len, listed.values())) for listed in (rare, often))
    low = "\n".join(f"- {name}: {'; '.join(where)}." for name, where in rare.items())
    high = [[name, str(len(shares)), max(shares, key=float)] for name, shares in often.items()]
    return (
        f"Of {counted} coverages, {beyond[0]} are below {percent(LEAST)} % and {beyond[1]} above {percent(MOST)} %. By "
        f"more than two standard errors of the simulation, {few} are below:\n\n{low or '- none.'}\n\n"
        f"and {many} above:\n\n"
        f"{table(['interval', f'truths of {len(found)}', 'at most'], high)}"
    )


def shapes(part: dict[str, Any] | None) -> str:
    """Of every shape: the planted range, the mean measured one and how often its interval holds it, by items and
    ease.
    """
    if part is None:
        return ""
    found: dict[str, dict[str, Any]] = {}
    for truth, told in part["found"].items():
        shape, _, setting = truth.partition(", ")
        found.setdefault(shape, {})[setting] = told
    settings = list(dict.fromkeys(setting for its in found.values() for setting in its))
    texts = []
    for key, title in (("auc_range", "Range of the AUC"), ("range", "Range of the hits")):
        rows = [
            [shape, *(_held(its[setting][key]) if setting in its else "–" for setting in settings)]
            for shape, its in found.items()
        ]
        texts.append(table([title, *settings], rows))
    return f"{part['runs']} runs of each.\n\n" + "\n\n".join(texts)


def _held(told: dict[str, Any]) -> str:
    return f"{percent(told['holds'], 1)} ({percent(told['true'], 1)}: {percent(told['mean'], 1)})"


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
