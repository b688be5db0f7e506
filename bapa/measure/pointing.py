"""Where a model points: the right cell, and how far off and to which side.

A run over a probe of task ``point`` holds places that the model wrote; one over a probe of task ``where`` the rows and
columns that it chose, which say the same in whole cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bapa.errors import RunError
from bapa.measure.run import Run
from bapa.probe import Probe
from bapa.probe.region import Region
from bapa.stats import Settings, clusters, intervals
from bapa.stats.intervals import Estimate
from bapa.stats.rates import ratio
from bapa.stats.trials import Array

SHARES = ("right", "row", "col")


@dataclass(frozen=True)
class Pointing:
    """How a model points under one scheme.

    ``right``: share of all canvases for which it points into the target's cell; ``row``, ``col``: into its row, and its
    column. ``across``, ``down``: how far right of
    and below the middle of the target's cell, in cells, on average over the canvases whose column (row) could be read.
    ``missed``: share of canvases without a place, row and column, that could be read.
    """

    right: Estimate
    row: Estimate
    col: Estimate
    across: Estimate
    down: Estimate
    missed: float


def pointing(run: Run, probe: Probe, settings: Settings | None = None) -> dict[str, Pointing]:
    """By scheme, how the model of ``run`` pointed on the canvases of ``probe``.

    Raises RunError where the run asks neither to point nor for both row and column.
    """
    return of_answers(run.answers(), probe, settings or Settings())


def of_answers(answers: pd.DataFrame, probe: Probe, settings: Settings) -> dict[str, Pointing]:
    """The same from ``answers``, with the columns of ``answers.parquet``."""
    kinds = set(answers["kind"])
    if "point" in kinds:
        read = _points(answers[answers["kind"] == "point"])
    elif {"where_row", "where_col"} <= kinds:
        read = _lines(answers, probe)
    else:
        raise RunError(
            f"this run asks {', '.join(sorted(kinds))}; pointing needs a probe of task point, or of task where with "
            "both row and column"
        )
    return {str(scheme): _pointing(rows, settings) for scheme, rows in read.groupby("scheme", sort=False)}


def _points(answers: pd.DataFrame) -> pd.DataFrame:
    """Of written places, ``across``, ``down`` and ``right`` of each canvas; NaN where none could be read."""
    found = []
    for told, expected in zip(answers["answer"], answers["expected"], strict=True):
        region = Region.read(expected)
        if region is None or not isinstance(told, str):
            found.append((np.nan, np.nan))
        else:
            x, y = map(float, told.split(","))
            found.append(region.offset(x, y))
    across, down = np.array(found).T
    return answers.assign(across=across, down=down, right=answers["correct"].eq(True))


def _lines(answers: pd.DataFrame, probe: Probe) -> pd.DataFrame:
    """Of chosen rows and columns, likewise, in whole cells."""
    choices = {
        question.kind: question.choices
        for question in probe.questions(probe.items[0], 0)
        if question.kind.startswith("where")
    }
    both = None
    for kind, name in (("where_col", "across"), ("where_row", "down")):
        rows = answers[answers["kind"] == kind]
        steps = _steps(rows["answer"], choices[kind]) - _steps(rows["expected"], choices[kind])
        keys = ["item", "cell", "scheme"]
        kept = [c for c in ("group", "caption", "picture") if c in rows] if both is None else []
        one = rows[[*keys, *kept]].assign(**{name: steps})
        one = one.drop_duplicates(keys)  # of several wordings the first
        both = one if both is None else both.merge(one, on=keys)
    if both is None:
        raise RunError("this run holds no answers")
    return both.assign(right=both["across"].eq(0) & both["down"].eq(0))


def _steps(told: pd.Series, choices: Sequence[str]) -> Array:
    """Number of each answer among ``choices``, NaN where there is none."""
    return np.array([choices.index(answer) if answer in choices else np.nan for answer in told], float)


def _pointing(rows: pd.DataFrame, settings: Settings) -> Pointing:
    item, _ = pd.factorize(rows["item"])
    there = {name: rows[name].notna().to_numpy() for name in ("across", "down")}
    columns = {name: rows[name].to_numpy(float) for name in ("right", "across", "down")}
    columns |= {"row": np.abs(columns["down"]) <= 0.5, "col": np.abs(columns["across"]) <= 0.5}  # NaN is in neither

    def means(weights: Array) -> dict[str, Array]:
        each = weights[:, item]
        found = {name: ratio(each @ columns[name], each.sum(1)) for name in SHARES}
        for name, read in there.items():
            found[name] = ratio(each[:, read] @ columns[name][read], each[:, read].sum(1))
        return found

    sample = intervals.jackknife(means, clusters.clusters(rows, settings.cluster).of)
    right, row, col = (
        intervals.share(sample.values[name], sample.errors[name], settings.level, sample.items) for name in SHARES
    )
    across, down = (
        intervals.mean(sample.values[name], sample.errors[name], settings.level) for name in ("across", "down")
    )
    return Pointing(right, row, col, across, down, float(1 - (there["across"] & there["down"]).mean()))
