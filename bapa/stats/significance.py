"""Tests of significance: does the cell matter at all?

Permuted is what would not matter if there were nothing to find: the cells, alike for all answers of a cluster. So
wordings, and items that are alike, stay together. The interval of a range inverts this very test
(:func:`bapa.stats.extremes.range_`): its lower end is above 0 only where the test rejects. Differences between schemes
are tested by :func:`bapa.stats.intervals.p_value` and :func:`bapa.stats.extremes.difference`, which go with their
intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import mcnemar

from bapa.stats.trials import Array

PERMUTATIONS = 999
_AT_ONCE = 4_000_000  # numbers held at once while permuting
_SEED = 0  # every map is permuted alike
Test = dict[str, float | None]
NOTHING: Test = {"statistic": None, "p": None, "floor": None, "floor_high": None}


@dataclass(frozen=True)
class Permuted:
    """Maps as they would be if the cells of every cluster were exchanged at random.

    ``table``: what each cluster says of each cell, (clusters, cells); its mean over clusters is the map. ``maps``: the
    exchanged maps, (permutations, cells). ``shape``: what all clusters may share, (cells,), and ``moved``, what the
    permutations make of it, (permutations, cells).
    """

    table: Array
    maps: Array
    shape: Array
    moved: Array

    @classmethod
    def of(cls, table: Array, shape: Array | None = None, seed: int = _SEED) -> Permuted:
        """Permute ``table``, and ``shape`` in the same way."""
        shape = np.zeros(table.shape[1]) if shape is None else shape
        rng, batch = np.random.default_rng(seed), max(1, _AT_ONCE // table.size)
        maps, moved = [], []
        for start in range(0, PERMUTATIONS, batch):
            size = (min(batch, PERMUTATIONS - start), *table.shape)
            orders = rng.permuted(np.broadcast_to(np.arange(table.shape[1]), size), axis=-1)
            maps.append(np.take_along_axis(table[None], orders, -1).mean(1))
            moved.append(shape[orders].mean(1))
        return cls(table, np.concatenate(maps), shape, np.concatenate(moved))

    def spans(self, size: float) -> Array:
        """Ranges of the maps if ``size`` times ``shape`` were true and all else chance: (permutations,)."""
        return np.asarray(np.ptp(size * self.shape + self.maps - size * self.moved, axis=-1))

    @property
    def test(self) -> Test:
        """The range over the cells against that of the permuted maps. ``floor`` is the mean range of an unbiased model
        with these very answers, ``floor_high`` its 95th percentile.
        """
        observed, null = float(np.ptp(self.table.mean(0))), self.spans(0.0)
        return {
            "statistic": observed,
            "p": share(null >= observed - 1e-12),
            "floor": float(null.mean()),
            "floor_high": float(np.quantile(null, 0.95)),
        }


def share(as_far: NDArray[np.bool_]) -> float:
    """How much of the permutations is as far out as what was seen, which counts as one of them."""
    return float((as_far.sum() + 1) / (len(as_far) + 1))


def place_test(values: Array, seed: int, clusters: NDArray[np.int64] | None = None) -> Test:
    """Permutation test of the range over cells of a mean over items, such as the hit rate.

    ``values``: (items, cells, questions); only items answered in every cell count. ``clusters``: of each item,
    (items,), from 0 on; without them each item stands on its own.
    """
    complete = np.isfinite(values).all((1, 2))
    if not complete.any():
        return dict(NOTHING)
    of = np.arange(len(values)) if clusters is None else clusters
    _, of, sizes = np.unique(of[complete], return_inverse=True, return_counts=True)
    table = np.zeros((len(sizes), values.shape[1]))
    np.add.at(table, of, values[complete].mean(-1))
    return Permuted.of(table / sizes.mean(), seed=seed).test  # a cluster counts by its items, so the mean is theirs


def mcnemar_cells(one: Array, two: Array) -> list[float | None]:
    """McNemar's exact test per cell on the questions that both schemes answered there; None where there are none."""
    found: list[float | None] = []
    for cell in range(one.shape[1]):
        both = np.isfinite(one[:, cell]) & np.isfinite(two[:, cell])
        a, b = one[:, cell][both], two[:, cell][both]
        table = [[((a == i) & (b == j)).sum() for j in (0, 1)] for i in (0, 1)]
        found.append(float(mcnemar(table, exact=True).pvalue) if both.any() else None)
    return found
