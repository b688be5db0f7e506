"""Two schemes on the same documents of a task: differences with intervals."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bapa.stats import Settings
from bapa.stats.intervals import Estimate, bootstrap
from bapa.stats.significance import mcnemar_cells
from bapa.stats.trials import Array

Documents = dict[int, dict[str, Any]]  # by number: what lmms-eval logged of each


@dataclass(frozen=True)
class Compared:
    """One metric of one task.

    ``figures``: lmms-eval's own, by scheme. ``differences``: by scheme, its figure minus that of the first; without
    bounds where the task asks a judge or writes files to make a figure. ``p``: of McNemar's exact test, where every
    document is right or wrong on its own.
    """

    task: str
    metric: str
    documents: int
    figures: dict[str, float]
    differences: dict[str, Estimate]
    p: dict[str, float | None]


def compare(
    task: str, found: Mapping[str, Mapping[str, Any]], metrics: Mapping[str, Callable[..., Any]], settings: Settings
) -> list[Compared]:
    """Every metric of a task, paired by document and bootstrapped over documents, or over what they belong to.

    ``found``: by scheme, ``figures`` and ``documents`` of its run. ``metrics``: how the task makes a figure from what
    it notes of its documents.
    """
    base, *others = found
    rows = []
    for metric, figure in found[base]["figures"].items():
        if not isinstance(figure, int | float):  # a file to hand in, say
            continue
        noted = {label: {d["doc_id"]: d for d in run["documents"] if metric in d} for label, run in found.items()}
        figures = {label: run["figures"][metric] for label, run in found.items()}
        differences, p = {}, {}
        for label in others:
            value, make = figures[label] - figures[base], metrics[metric]
            differences[label] = {"value": value, "low": None, "high": None}
            if "args" not in inspect.signature(make).parameters:  # those with args ask judges and write files
                differences[label] = _interval(noted[base], noted[label], metric, make, settings)
            p[label] = _mcnemar(noted[base], noted[label], metric)
        rows.append(Compared(task, metric, len(noted[base]), figures, differences, p))
    return rows


def _interval(one: Documents, two: Documents, metric: str, make: Callable[..., Any], settings: Settings) -> Estimate:
    groups: dict[Any, list[int]] = {}
    for number, document in one.items():
        groups.setdefault(document["cluster"], []).append(number)
    members = list(groups.values())

    def difference(weights: Array) -> dict[str, Array]:
        values = []
        for row in weights.astype(int):
            drawn = [number for group, times in zip(members, row, strict=True) for number in group * times]
            values.append(make([two[n][metric] for n in drawn]) - make([one[n][metric] for n in drawn]))
        return {"difference": np.array(values, float)}

    found = bootstrap(difference, len(members), resamples=settings.resamples, level=settings.level, seed=settings.seed)
    return found["difference"]


def _mcnemar(one: Documents, two: Documents, metric: str) -> float | None:
    if len({document["cluster"] for document in one.values()}) < len(one):
        return None
    scores = [[_score(run[number][metric]) for number in one] for run in (one, two)]
    if any(score not in (0, 1) for run in scores for score in run):
        return None
    a, b = (np.array(run, float)[:, None, None] for run in scores)
    return mcnemar_cells(a, b)[0]


def _score(noted: Any) -> Any:
    return noted.get("score") if isinstance(noted, dict) else noted if isinstance(noted, int | float) else None
