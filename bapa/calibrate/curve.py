"""What a calibration tells: the dose-response curve, the verdict on other items, what it cost positions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from bapa.calibrate import halving
from bapa.measure.run import Run
from bapa.probe import Probe
from bapa.schemes import parse
from bapa.stats import Settings, bias
from bapa.stats.trials import Array

SHOWN = ("auc", "auc_range", "hit", "balanced_accuracy", "range", "consistency", "false_alarm")
Point = dict[str, Any]


def points(
    answers: Mapping[str, pd.DataFrame], values: Mapping[str, Array], cells: int, settings: Settings
) -> list[Point]:
    """One point per candidate, near ones first: its numbers, its score, and :data:`SHOWN` with intervals over the
    items it was asked about.
    """
    found = []
    for candidate, rows in answers.items():
        standing = halving.score(values[candidate])
        overall = bias.overall(rows, cells, settings)
        shown = {name: overall[name] for name in SHOWN}
        found.append({**about(candidate), **vars(standing), **shown})
    return in_order(found)


def about(candidate: str) -> Point:
    """A point with the numbers of its candidate alone."""
    return {"candidate": candidate, "distance": distance(candidate), "delta": getattr(parse(candidate), "delta", 0)}


def in_order(found: Iterable[Point]) -> list[Point]:
    """Points, near ones first."""
    return sorted(found, key=lambda point: (point["distance"], point["delta"]))


def distance(candidate: str) -> float:
    """The distance of a candidate in native ones, where it is one; 0 for the paper's, which is next to nothing."""
    return getattr(parse(candidate), "multiple", None) or 0.0


def verdict(run: Run) -> dict[str, Any]:
    """By rule, what a run on other items found: :data:`SHOWN` with intervals, and hits cell by cell."""
    return {
        label: {name: scheme["overall"][name] for name in SHOWN} | {"cells": [cell["hit"] for cell in scheme["cells"]]}
        for label, scheme in run.bias["schemes"].items()
    }


def answering(run: Run) -> dict[str, Any]:
    """Natively, how much probability falls on the answers, and what the model wants to say: as ``bias.json`` has it."""
    its = run.bias["schemes"]["native"]
    return {"schemes": {"native": {"overall": {"mass": its["overall"]["mass"]}, "wanted": its["wanted"]}}}


def guard(probe: Probe, found: list[Point], native: str = "native") -> dict[str, Any]:
    """What the rules cost on a guard probe. ``chance``: what the best answer gets that never looks. ``tells``: whether
    the model can do the task natively at all, its interval lying above chance; where it cannot, the guard tells
    nothing.
    """
    low = next(point["hit"]["low"] for point in found if point["candidate"] == native)
    blind = chance(probe)
    return {
        "probe": {"path": str(probe.path), "task": probe.design.task, "fingerprint": probe.fingerprint},
        "chance": blind,
        "tells": low is not None and low > blind,
        "rules": [
            {name: point[name] for name in ("candidate", "distance", "delta", "items", "hit")} for point in found
        ],
    }


def chance(probe: Probe) -> float:
    """Share of right answers of a model that answers all questions of a kind alike, with the best answer there is."""
    answers = Counter(
        (question.kind, question.answer)
        for item in probe.items
        for cell in range(probe.cells)
        for question in probe.questions(item, cell)
    )
    best: dict[str, int] = {}
    for (kind, _), count in answers.items():
        best[kind] = max(best.get(kind, 0), count)
    return sum(best.values()) / answers.total()
