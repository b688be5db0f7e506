"""Tests of significance: does the cell matter at all, and do two schemes differ?

Both kinds permute what would not matter if there were nothing to find: the cells within an item, or the two schemes
within an item.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar

from bapa.stats.rates import comparable
from bapa.stats.trials import Array, Trials

DRAWS = 9999  # permutations; the smallest p is 1 / (DRAWS + 1)
_AT_ONCE = 4_000_000  # numbers held at once while permuting


def cochran(hits: Array) -> dict[str, float | None]:
    """Cochran's Q: are hits equally likely in all cells? Rows are the questions answered in every cell."""
    rows = _complete(hits)
    varied = rows[rows.min(-1) != rows.max(-1)]
    if not len(varied):  # no answer depends on the cell: Q is 0 / 0
        return {"statistic": 0.0 if len(rows) else None, "p": 1.0 if len(rows) else None, "df": hits.shape[1] - 1}
    result = cochrans_q(varied)
    return {"statistic": float(result.statistic), "p": float(result.pvalue), "df": int(result.df)}


def range_within_items(hits: Array, seed: int) -> dict[str, float | None]:
    """Permutation test of the range over cells: each question's answers are shuffled over the cells.

    ``floor`` is the mean range of an unbiased model with these very answers, ``floor_high`` its 95th percentile.
    """
    rows = _complete(hits)
    if not len(rows):
        return {"statistic": None, "p": None, "floor": None, "floor_high": None}
    moving = rows[rows.min(-1) != rows.max(-1)]  # the others look the same in any order and add no range
    if not len(moving):
        return {"statistic": 0.0, "p": 1.0, "floor": 0.0, "floor_high": 0.0}
    test = stats.permutation_test(
        (*moving, np.zeros(rows.shape[1])),  # scipy wants two samples; the zeros add nothing
        lambda *answers, axis: np.ptp(np.sum(answers, axis=0), axis=axis) / len(rows),
        permutation_type="pairings",
        n_resamples=999,
        batch=max(1, _AT_ONCE // moving.size),
        vectorized=True,
        alternative="greater",
        rng=np.random.default_rng(seed),
    )
    null = test.null_distribution
    return {
        "statistic": float(test.statistic),
        "p": float(test.pvalue),
        "floor": float(null.mean()),
        "floor_high": float(np.quantile(null, 0.95)),
    }


def mcnemar_cells(one: Array, two: Array) -> list[float | None]:
    """McNemar's exact test per cell on the questions that both schemes answered there; None where there are none."""
    found: list[float | None] = []
    for cell in range(one.shape[1]):
        both = np.isfinite(one[:, cell]) & np.isfinite(two[:, cell])
        a, b = one[:, cell][both], two[:, cell][both]
        table = [[((a == i) & (b == j)).sum() for j in (0, 1)] for i in (0, 1)]
        found.append(float(mcnemar(table, exact=True).pvalue) if both.any() else None)
    return found


def swap_schemes(one: Trials, two: Trials, seed: int) -> dict[str, float | None]:
    """Permutation test of the difference of each :func:`~bapa.stats.rates.comparable` quantity: within every item
    the answers of the two schemes are swapped or not. Two-sided p values.
    """
    rng = np.random.default_rng(seed)
    both = Trials(*(np.concatenate([getattr(one, f.name), getattr(two, f.name)]) for f in fields(Trials)))
    batch = max(1, _AT_ONCE // (2 * one.items))
    draws: dict[str, list[Array]] = {}
    observed = _difference(both, np.ones((1, one.items), bool))
    for start in range(0, DRAWS, batch):
        kept = rng.random((min(batch, DRAWS - start), one.items)) < 0.5
        for name, values in _difference(both, kept).items():
            draws.setdefault(name, []).append(values)
    return {name: _two_sided(observed[name][0], np.concatenate(values)) for name, values in draws.items()}


def _difference(both: Trials, kept: NDArray[np.bool_]) -> dict[str, Array]:
    # Items of scheme one come first: weights of 0 and 1 choose which scheme's answers play the part of which.
    first = np.concatenate([kept, ~kept], 1).astype(float)
    one, two = comparable(both, first), comparable(both, 1 - first)
    return {name: two[name] - one[name] for name in one}


def _two_sided(observed: float, null: Array) -> float | None:
    if not np.isfinite(observed):
        return None
    extreme = np.abs(null) >= abs(observed) - 1e-12  # equal up to rounding counts as equal
    return float((extreme.sum() + 1) / (len(null) + 1))


def _complete(hits: Array) -> Array:
    rows = np.moveaxis(hits, 1, 2).reshape(-1, hits.shape[1])  # one row per item and question
    return rows[np.isfinite(rows).all(-1)]
