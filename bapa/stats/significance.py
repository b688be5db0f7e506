"""Tests of significance: does the cell matter at all?

They permute what would not matter if there were nothing to find: the cells, in the same way for all answers of a
cluster. So wordings, and items that are alike, stay together. Differences between schemes are tested by
:func:`bapa.stats.intervals.p_value` and :func:`bapa.stats.extremes.difference`, which go with their intervals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from bapa.stats.trials import Array

PERMUTATIONS = 999
_AT_ONCE = 4_000_000  # numbers held at once while permuting
Test = dict[str, float | None]
_NOTHING: Test = {"statistic": None, "p": None, "floor": None, "floor_high": None}


def range_of_means(values: Array, clusters: NDArray[np.int64], seed: int, *, permutations: int = PERMUTATIONS) -> Test:
    """Permutation test of the range over cells of a mean, such as the hit rate.

    ``values``: (items, cells, questions); only items answered in every cell count. ``floor`` is the mean range of an
    unbiased model with these very answers, ``floor_high`` its 95th percentile.
    """
    complete = np.isfinite(values).all((1, 2))
    if not complete.any():
        return dict(_NOTHING)
    _, own = np.unique(clusters[complete], return_inverse=True)
    sums = np.zeros((own.max() + 1, values.shape[1]))
    np.add.at(sums, own, values[complete].mean(-1))

    def spans(orders: NDArray[np.int64]) -> Array:
        return np.ptp(np.take_along_axis(sums[None], orders, -1).sum(1), axis=-1) / complete.sum()

    return _permuted(spans, sums.shape, seed, permutations)


def place_test(values: Array, seed: int) -> Test:
    """:func:`range_of_means` with each item on its own."""
    return range_of_means(values, np.arange(len(values)), seed)


def range_of_areas(
    signal: Array, noise: Array, clusters: NDArray[np.int64], seed: int, *, permutations: int = PERMUTATIONS
) -> Test:
    """The same for the area under the ROC curve. ``signal``, ``noise``: margins, (items, cells, questions)."""
    complete = np.isfinite(signal).all((1, 2)) & np.isfinite(noise).all((1, 2))
    if not complete.any() or not signal.size or not noise.size:
        return dict(_NOTHING)
    _, own = np.unique(clusters[complete], return_inverse=True)
    present = signal.shape[2]
    both = np.concatenate([signal[complete], noise[complete]], -1)  # (items, cells, questions about both)
    ranks = stats.rankdata(both, "dense").reshape(both.shape)
    tied = ranks.max() < both.size
    ranks = ranks.astype(np.uint16 if ranks.max() < 2**16 else np.uint32)  # numpy sorts short integers by radix

    def spans(orders: NDArray[np.int64]) -> Array:
        found = np.moveaxis(np.take_along_axis(ranks[None], orders[:, own, :, None], 2), 2, 1)
        one, two = (part.reshape(*found.shape[:2], -1) for part in (found[..., :present], found[..., present:]))
        areas = _area(one, two)
        return np.asarray(np.ptp((areas + 1 - _area(two, one)) / 2 if tied else areas, axis=-1))

    return _permuted(spans, (own.max() + 1, both.shape[1]), seed, permutations, each=both.size)


def _area(one: NDArray[Any], two: NDArray[Any]) -> Array:
    """Share of pairs in which ``one``, (..., m), lies above ``two``, (..., n): Mann and Whitney's U over m n."""
    m, n = one.shape[-1], two.shape[-1]
    order = np.argsort(np.concatenate([one, two], -1), axis=-1, kind="stable")  # equal ones: ``one`` first
    places = np.where(order < m, np.arange(1, m + n + 1), 0).sum(-1)
    return np.asarray((places - m * (m + 1) / 2) / (m * n))


def _permuted(
    spans: Callable[[NDArray[np.int64]], Array],
    shape: tuple[int, int],
    seed: int,
    permutations: int,
    each: int | None = None,
) -> Test:
    """``spans``: orders of the cells, (n, clusters, cells) -> ranges, (n,)."""
    rng = np.random.default_rng(seed)
    plain = np.broadcast_to(np.arange(shape[1]), shape)
    observed = float(spans(plain[None].copy())[0])
    batch = max(1, _AT_ONCE // (each or shape[0] * shape[1]))
    null = np.concatenate(
        [
            spans(rng.permuted(np.broadcast_to(plain, (min(batch, permutations - start), *shape)), axis=-1))
            for start in range(0, permutations, batch)
        ]
    )
    return {
        "statistic": observed,
        "p": float(((null >= observed - 1e-12).sum() + 1) / (permutations + 1)),
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
