"""From answers to ``bias.json``: estimates with intervals, tests, and comparisons of schemes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from bapa.stats import floors, intervals, rates, significance, trials
from bapa.stats.intervals import Estimate
from bapa.stats.rates import CELL_QUANTITIES
from bapa.stats.trials import Array, Trials

VERSION = 1
OVERALL = -1
Key = tuple[str, str, int]  # scheme (or a pair, for their difference), quantity, cell (OVERALL: over cells)
_SHARES = ("hit", "false_alarm", "overall.hit", "overall.false_alarm", "overall.near_miss", "overall.consistency")


@dataclass(frozen=True)
class Settings:
    """``resamples``: bootstrap draws. ``level``: of the intervals. ``seed``: of all random draws."""

    resamples: int = 1000
    level: float = 0.95
    seed: int = 0


def bias(
    answers: pd.DataFrame, *, rows: int, cols: int, question_first: bool = False, settings: Settings | None = None
) -> dict[str, Any]:
    """The statistics of a run.

    ``answers``: one row per item, cell, question and scheme, with the columns of ``answers.parquet``. ``rows``,
    ``cols``: the grid. ``question_first``: the question stands before the image. The result has the keys ``version``,
    ``level``, ``resamples``, ``schemes``, ``comparisons`` and ``floors`` of ``bias.json``; every estimate is
    ``{"value", "low", "high"}`` with a percentile bootstrap interval over items, and rates are fractions.
    """
    settings = settings or Settings()
    schemes = trials.read(answers, rows * cols)
    places = rates.predictors(rows, cols, question_first)
    found = _estimates(schemes, places, settings)
    return {
        "version": VERSION,
        "level": settings.level,
        "resamples": settings.resamples,
        "schemes": {label: _scheme(label, schemes[label], found, cols, settings) for label in schemes},
        "comparisons": _comparisons(schemes, found, settings),
        "floors": {
            label: floors.null_arm(schemes["native"], null)
            for label, null in schemes.items()
            if floors.is_null(label) and "native" in schemes
        },
    }


def _estimates(schemes: dict[str, Trials], places: dict[str, Array], settings: Settings) -> dict[Key, Estimate]:
    """Everything, and its differences between schemes, from one set of resamples: on the same items."""
    items = next(iter(schemes.values())).items

    def everything(weights: Array) -> dict[Key, Array]:
        values = {label: rates.rates(scheme, weights, places) for label, scheme in schemes.items()}
        for a, b in itertools.combinations(schemes, 2):
            values[_pair(a, b)] = {name: values[b][name] - values[a][name] for name in values[a]}
        return {
            (owner, name, cell): draws
            for owner, named in values.items()
            for name, column in named.items()
            for cell, draws in ([(OVERALL, column)] if column.ndim == 1 else enumerate(column.T))
        }

    sample = intervals.bootstrap(
        everything, items, resamples=settings.resamples, level=settings.level, seed=settings.seed
    )
    found = {
        key: intervals.unanimous(estimate, items, settings.level) if key[1] in _SHARES else estimate
        for key, estimate in sample.estimates.items()
    }
    for label, scheme in schemes.items():
        hits = [(label, "hit", cell) for cell in range(scheme.cells)]
        if not all(key in sample.draws for key in hits):
            continue
        rate = np.array([found[key]["value"] for key in hits], float)
        spread, worst = intervals.extremes(rate, np.stack([sample.draws[key] for key in hits]), settings.level)
        worst = intervals.unanimous(worst, items, settings.level)
        if spread["low"] == spread["high"]:  # all agree in all cells: as far apart as the binomial lets them be
            spread = {**spread, "high": (worst["high"] or 0.0) - (worst["low"] or 0.0)}
        found[label, "overall.range", OVERALL] = spread
        found[label, "overall.worst_cell", OVERALL] = worst
    for a, b in itertools.combinations(schemes, 2):
        for name in ("overall.range", "overall.worst_cell"):
            found[_pair(a, b), name, OVERALL] = intervals.difference(found[a, name, OVERALL], found[b, name, OVERALL])
    return found


def _pair(a: str, b: str) -> str:
    return f"{a}|{b}"


def _scheme(label: str, scheme: Trials, found: dict[Key, Estimate], cols: int, settings: Settings) -> dict[str, Any]:
    mine = {(name, cell): estimate for (owner, name, cell), estimate in found.items() if owner == label}
    cells: list[dict[str, Any]] = [
        {
            "cell": cell,
            "row": cell // cols,
            "col": cell % cols,
            "n": int(np.isfinite(scheme.hits[:, cell]).any(-1).sum()),
            **{name: mine[name, cell] for name in CELL_QUANTITIES},
        }
        for cell in range(scheme.cells)
    ]
    hit = [cell["hit"]["value"] for cell in cells]
    return {
        "cells": cells,
        "overall": {name.removeprefix("overall."): e for (name, _), e in mine.items() if name.startswith("overall.")},
        "worst_cell": int(np.argmin(hit)) if None not in hit else None,
        "slopes": {name.removeprefix("slopes."): e for (name, _), e in mine.items() if name.startswith("slopes.")},
        "tests": {
            "cochran_q": significance.cochran(scheme.hits),
            "permutation_range": significance.range_within_items(scheme.hits, settings.seed),
        },
    }


def _comparisons(schemes: dict[str, Trials], found: dict[Key, Estimate], settings: Settings) -> list[dict[str, Any]]:
    """Differences ``b - a`` with p values, corrected over all of them by Holm's rule."""
    compared: list[dict[str, Any]] = []
    for a, b in itertools.combinations(schemes, 2):
        for name, p in significance.swap_schemes(schemes[a], schemes[b], settings.seed).items():
            difference = found[_pair(a, b), f"overall.{name}", OVERALL]
            compared.append({"a": a, "b": b, "quantity": name, "difference": difference, "p": p, "test": "permutation"})
        for cell, p in enumerate(significance.mcnemar_cells(schemes[a].hits, schemes[b].hits)):
            row = {"a": a, "b": b, "quantity": "hit", "cell": cell, "difference": found[_pair(a, b), "hit", cell]}
            compared.append({**row, "p": p, "test": "mcnemar"})
    tested = [row["p"] for row in compared if row["p"] is not None]
    adjusted = iter(multipletests(tested, method="holm")[1] if tested else ())
    return [{**row, "p_adjusted": None if row["p"] is None else float(next(adjusted))} for row in compared]
