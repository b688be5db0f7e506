"""From answers to ``bias.json``: estimates with intervals, tests, and comparisons of schemes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bapa.errors import ConfigError
from bapa.stats import clusters as units
from bapa.stats import comparisons, extremes, floors, intervals, rates, trials
from bapa.stats.clusters import Cluster, Clusters
from bapa.stats.extremes import Map
from bapa.stats.intervals import Estimate, Sample
from bapa.stats.rates import CELL_QUANTITIES, MAPS
from bapa.stats.trials import Array, Trials

VERSION = 2
OVERALL = -1
READABLE = 0.5  # least mean probability on the answers to choose from; below it there is no verdict
UNUSED = ("statistics.resamples", "statistics.seed")  # in a run's config: statistics below draw nothing by them
_SHARES = {  # quantities between 0 and 1
    *("hit", "false_alarm", "balanced_accuracy", "auc", "near_miss", "absent", "consistency", "flip_rate", "mass")
}
Key = tuple[str, str, int]  # scheme, quantity, cell (OVERALL: over cells)


@dataclass(frozen=True)
class Settings:
    """``level``: of the intervals. ``seed``: of what is resampled. ``cluster``: what counts as one observation.
    ``resamples``: bootstrap draws, where something is resampled.
    """

    resamples: int = 1000
    level: float = 0.95
    seed: int = 0
    cluster: Cluster = "auto"

    def __post_init__(self) -> None:
        """Raise ConfigError for what no bootstrap can draw."""
        if self.seed < 0:
            raise ConfigError(f"seed = {self.seed}: use 0 or more")
        if self.resamples < 1 or not 0 < self.level < 1:
            raise ConfigError(
                f"resamples = {self.resamples}, level = {self.level}: use 1 draw or more, and a level between 0 and 1"
            )


def bias(
    answers: pd.DataFrame, *, rows: int, cols: int, question_first: bool = False, settings: Settings | None = None
) -> dict[str, Any]:
    """The statistics of a run.

    ``answers``: one row per item, cell, question and scheme, with the columns of ``answers.parquet``. ``rows``,
    ``cols``: the grid. ``question_first``: the question stands before the image. The result is what ``bias.json``
    holds of it; every estimate is ``{"value", "low", "high"}``, and rates are fractions.
    """
    settings = settings or Settings()
    found = trials.read(answers, rows * cols)
    over = units.clusters(answers, settings.cluster)
    places = rates.predictors(rows, cols, question_first)
    sample = sampled(found, over, places)
    maps = {label: mapped(label, scheme, sample, over) for label, scheme in found.items()}
    said = _wanted(answers)
    schemes = {
        label: {
            **figures(label, scheme, sample, maps[label], cols, settings.level),
            "tests": {range_key(name): drawn.test for name, drawn in maps[label].items()},
            "classes": _classes(scheme, over),
            "wanted": said.get(label, []),
        }
        for label, scheme in found.items()
    }
    return {
        "version": VERSION,
        "level": settings.level,
        "clusters": {"by": over.by, "number": over.count},
        "schemes": schemes,
        **comparisons.compare(schemes, sample, maps, settings.level),
        "floors": floors.null_arms(answers),
    }


def overall(answers: pd.DataFrame, cells: int, settings: Settings) -> dict[str, Estimate]:
    """The figures over all cells of answers under one scheme, as ``bias.json`` holds them."""
    ((label, scheme),) = (found := trials.read(answers, cells)).items()
    over = units.clusters(answers, settings.cluster)
    sample = sampled(found, over, rates.predictors(1, cells))
    told: dict[str, Estimate] = figures(
        label, scheme, sample, mapped(label, scheme, sample, over), cells, settings.level
    )["overall"]
    return told


def sampled(found: dict[str, Trials], over: Clusters, places: dict[str, Array]) -> Sample[Key]:
    """Every smooth quantity of every scheme, with errors over the same clusters, so that differences are paired."""

    def everything(weights: Array) -> dict[Key, Array]:
        return {
            (label, name, cell): draws
            for label, scheme in found.items()
            for name, column in rates.rates(scheme, weights, places).items()
            for cell, draws in ([(OVERALL, column)] if column.ndim == 1 else enumerate(column.T))
        }

    return intervals.jackknife(everything, over.of)


def mapped(label: str, scheme: Trials, sample: Sample[Key], over: Clusters) -> dict[str, Map]:
    """The maps of one scheme whose range and worst cell are reported."""
    first = extremes.halvings(over.of)
    halves = np.stack([first, ~first], 1).reshape(-1, scheme.items).astype(float)
    halved = {"auc": rates.auc(scheme.signal, scheme.noise, halves), "hit": rates.mean(scheme.hits, halves)}
    keys = {name: [(label, name, cell) for cell in range(scheme.cells)] for name in MAPS}
    return {
        name: Map(
            np.array([sample.values[key] for key in keys[name]]),
            np.stack([sample.errors[key] for key in keys[name]], -1),
            halved[name].reshape(len(first), 2, -1),
            scheme.items,
        )
        for name in MAPS
    }


def figures(
    label: str, scheme: Trials, sample: Sample[Key], maps: dict[str, Map], cols: int, level: float
) -> dict[str, Any]:
    """``cells``, ``overall``, ``worst_cell`` and ``slopes`` of one scheme."""
    mine: dict[tuple[str, int], Estimate] = {}
    for (owner, name, cell), value in sample.values.items():
        if owner == label:
            errors = sample.errors[owner, name, cell]
            is_share = name.removeprefix("overall.") in _SHARES
            mine[name, cell] = (
                intervals.share(value, errors, level, sample.items)
                if is_share
                else intervals.mean(value, errors, level)
            )
    cells: list[dict[str, Any]] = [
        {
            "cell": cell,
            "row": cell // cols,
            "col": cell % cols,
            "n": int(np.isfinite(scheme.hits[:, cell]).any(-1).sum()),
            **{name: mine[name, cell] for name in (*CELL_QUANTITIES, "mass")},
        }
        for cell in range(scheme.cells)
    ]
    overall = {name.removeprefix("overall."): e for (name, _), e in mine.items() if name.startswith("overall.")}
    for name, found in maps.items():
        overall[range_key(name)] = extremes.range_(found, level)
        overall[worst_key(name)] = extremes.worst(found, level)
    value = sample.values[label, "overall.variance_corrected", OVERALL]
    overall["variance_corrected"] = extremes.variance(value, maps["hit"], level)
    rated = {name: [cell[name]["value"] for cell in cells] for name in MAPS}
    return {
        "cells": cells,
        "overall": overall,
        "worst_cell": {n: int(np.argmin(v)) if None not in v else None for n, v in rated.items()},
        "slopes": {name.removeprefix("slopes."): e for (name, _), e in mine.items() if name.startswith("slopes.")},
    }


def range_key(name: str) -> str:
    """How the range over cells of a quantity is called; the plain name is that of the hit rate's."""
    return "range" if name == "hit" else f"{name}_range"


def worst_key(name: str) -> str:
    """How the worst cell of a quantity is called."""
    return "worst_cell" if name == "hit" else f"{name}_worst_cell"


def _classes(scheme: Trials, over: Clusters) -> list[dict[str, Any]]:
    """Hit rate of each class, the lowest first; empty where items have none or all the same."""
    names = sorted(set(over.classes.tolist()) - {""})
    if len(names) < 2:
        return []
    weights = np.stack([over.classes == name for name in names]).astype(float)
    hits = rates.average(rates.mean(scheme.hits, weights))
    told = [
        {"class": name, "items": int(weight.sum()), "hit": float(hit) if np.isfinite(hit) else None}
        for name, weight, hit in zip(names, weights, hits, strict=True)
    ]
    return sorted(told, key=lambda one: -1.0 if one["hit"] is None else one["hit"])


def _wanted(answers: pd.DataFrame, most: int = 3) -> dict[str, list[dict[str, Any]]]:
    """By scheme, the tokens that the model most often thought likeliest of all, with their share of the answers."""
    if "top" not in answers:
        return {}
    return {
        str(label): [
            {"token": token, "share": count / len(tops)} for token, count in Counter(tops.dropna()).most_common(most)
        ]
        for label, tops in answers.groupby("scheme", sort=False)["top"]
    }
