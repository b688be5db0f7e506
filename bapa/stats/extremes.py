"""Best minus worst cell, the worst cell, and the variance over cells: what is picked among noisy cells.

The plain best minus worst grows with noise: a flat map of 30 items shows 20 points. So the *value* is cross-validated:
cells are picked on one half of the clusters and measured on the other. Its *interval* inverts tests of the plain one.
The lower end of a range is above 0 where the permutation test (:mod:`bapa.stats.significance`) rejects, so that figure
and test do not disagree; all other ends come from the cells' joint errors, simulated (multivariate t). Where the place
matters, a range reaches as far down as these errors allow, too, and at least as far up as the difference of the two
picked cells would, were they named beforehand. Which tails cover best is measured in studies/coverage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bapa.stats import intervals
from bapa.stats.intervals import Estimate
from bapa.stats.significance import NOTHING, Permuted, Test, share
from bapa.stats.trials import Array

HALVINGS = 16  # of the clusters, at random, each used both ways
DRAWS = 1000  # of the cells' errors
AGAIN = 250  # of maps whose cells are picked anew, for a standard error
_HALVE = 12  # times an interval is halved while a test is inverted: to 1 / 4096
_LEAST = 0.5**_HALVE  # where a range begins at least, if the test finds one
# Chance of a miss in the lower and in the upper tail, at a level of 95 %. A flat map can only be missed below and a
# steep one mostly above, so that neither adds up to much more than 5 %.
_RANGE, _WORST, _VARIANCE = (0.05, 0.025), (0.04, 0.04), (0.04, 0.02)


@dataclass(frozen=True)
class Map:
    """A quantity over the cells. ``values``: (cells,); ``errors``: (clusters, cells), as of
    :class:`~bapa.stats.intervals.Sample`; ``halves``: its values in one and in the other half of the clusters, for
    every halving, (halvings, 2, cells); ``items``: how many there are.
    """

    values: Array
    errors: Array
    halves: Array
    items: int

    @property
    def whole(self) -> bool:
        """Whether every cell has a value and errors."""
        return bool(len(self.errors) > 1 and all(np.isfinite(x).all() for x in (self.values, self.errors, self.halves)))

    @cached_property
    def permuted(self) -> Permuted:
        """The maps of exchanged cells. A cluster says of a cell its jackknife pseudo-value (Efron 1982, The Jackknife,
        ch. 2), less its own mean over cells: clusters may differ in level, and of a plain mean it is their own mean.
        """
        clusters = len(self.errors)
        apart = (self.errors - self.errors.mean(0)) * -np.sqrt(clusters * (clusters - 1))
        table = self.values - self.values.mean() + apart - apart.mean(1, keepdims=True)
        # Of all maps of one range, noise pulls those apart most that have many cells at both ends.
        order = np.argsort(np.argsort(self.values))
        half = np.where(order >= len(order) // 2, 0.5, -0.5)
        return Permuted.of(table, half - half.mean())

    @property
    def test(self) -> Test:
        """Whether the place matters."""
        return self.permuted.test if self.whole else dict(NOTHING)


def halvings(clusters: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which items are in the first half, (halvings, items); the same for every scheme, and no cluster is cut."""
    rng = np.random.default_rng(0)
    count = int(clusters.max(initial=-1)) + 1
    return np.stack([rng.permutation(count) < count // 2 for _ in range(HALVINGS)])[:, clusters]


def range_(found: Map, level: float = 0.95) -> Estimate:
    """Best minus worst cell; the value may fall below zero by chance, the interval not. The lower end is above 0 where
    the test rejects. Where no cluster tells the cells apart, the upper end is that of
    :func:`~bapa.stats.intervals.change`.
    """
    if not found.whole:
        return intervals.estimate(np.nan, np.nan, np.nan)
    value, span = float(picked_range(found.halves)), float(np.ptp(found.values))
    below, above = _tails(_RANGE, level)
    low = _first(lambda size: share(found.permuted.spans(size) >= span - 1e-12) > below, 1.0)
    noise = _noise(found.errors)
    high = 0.0
    if span > 0:  # of the shape that was seen, each cell with its own noise: the best cells often have none
        shape = (found.values - found.values.mean()) / span
        high = _first(lambda size: (np.ptp(size * shape + noise, axis=-1) <= span + 1e-12).mean() <= above, 1.0)
    if low > 0:
        # A cell that stands out may have more noise than others, which permuted cells share.
        half = found.permuted.shape
        own = _first(lambda size: (np.ptp(size * half + noise, axis=-1) >= span - 1e-12).mean() > below, 1.0)
        low = max(min(low, own), _LEAST)
        # On a slope extremes have near neighbours, and what picking among them adds is taken off too much.
        high = max(high, min(1.0, span + _reach(found, level)))
    if np.ptp(found.errors, axis=1).max() <= 1e-12:  # no cluster tells the cells apart: no point
        high = max(high, intervals.change(span, found.errors[:, 0] * 0, level, found.items)["high"] or 0.0)
    if intervals.spread(found.errors.ravel()) == 0:  # every cluster answers alike: as far apart as shares may be
        sure = intervals.share(float(found.values.min()), found.errors[:, 0] * 0, level, found.items)
        high = max(high, min(1.0, span + (sure["high"] or 0.0) - (sure["low"] or 0.0)))
    return intervals.estimate(value, min(low, max(value, 0.0)), max(high, value))


def _reach(found: Map, level: float) -> float:
    """Half of Student's interval of the difference between best and worst cell, were they named beforehand."""
    best, lowest = found.errors[:, found.values.argmax()], found.errors[:, found.values.argmin()]
    return intervals.quantile(level, len(found.errors)) * intervals.spread(best - lowest)


def worst(found: Map, level: float = 0.95) -> Estimate:
    """The lowest cell."""
    if not found.whole:
        return intervals.estimate(np.nan, np.nan, np.nan)
    value, lowest = float(picked_worst(found.halves)), float(found.values.min())
    below, above = _tails(_WORST, level)
    noise = _noise(found.errors)
    low = lowest - float(np.quantile(noise[:, int(found.values.argmin())], 1 - below))
    high = lowest - float(np.quantile(noise.min(1), above))
    if intervals.spread(found.errors.ravel()) == 0:
        sure = intervals.share(lowest, found.errors[:, 0] * 0, level, found.items)
        low, high = sure["low"] or 0.0, sure["high"] or 0.0
    return intervals.estimate(value, max(0.0, min(low, value)), min(1.0, max(high, value)))


def variance(value: float, found: Map, level: float = 0.95) -> Estimate:
    """Variance over cells less what noise adds. ``value``: the unbiased one, which may be negative."""
    if not found.whole:
        return intervals.estimate(value, np.nan, np.nan)
    seen = found.values - found.values.mean()
    noise = _noise(found.errors)
    noise = noise - noise.mean(1, keepdims=True)
    size = float(np.sqrt((seen**2).sum()))
    along, across = noise @ (seen / size if size else seen), (noise**2).sum(1)
    below, above = _tails(_VARIANCE, level)
    most = 2 * size + 4 * float(np.sqrt(across.mean()))

    def total(length: float) -> Array:
        return np.asarray(length**2 + 2 * length * along + across)

    low = _first(lambda length: (total(length) >= size**2 - 1e-12).mean() > below, most)
    high = _first(lambda length: (total(length) <= size**2 + 1e-12).mean() <= above, most)
    freedom = len(seen) - 1
    return intervals.estimate(value, min(low**2 / freedom, max(value, 0.0)), max(high**2 / freedom, value))


def difference(one: Map, two: Map, picked: Callable[[Array], Array], level: float) -> tuple[Estimate, float | None]:
    """``two - one`` of :func:`picked_range` or :func:`picked_worst`, with the p of "they are equal".

    Student's t with a standard error from simulated halvings of maps whose range is the cross-validated one; both maps
    share their draws, as they share their items. It does not ask whether the maps are equal, only what is picked. Where
    every cluster says the same, interval and p are those of :func:`~bapa.stats.intervals.change`.
    """
    if not (one.whole and two.whole):
        return intervals.estimate(np.nan, np.nan, np.nan), None
    value = float(picked(two.halves) - picked(one.halves))
    clusters = len(one.errors)
    error = float(np.std(_again(two, picked) - _again(one, picked), ddof=1))
    if error <= 1e-12:  # every cluster says the same
        alike = np.zeros(clusters)
        return intervals.change(value, alike, level, one.items), intervals.p_value(value, alike)
    half = intervals.quantile(level, clusters) * error
    p = float(2 * special.stdtr(clusters - 1, -abs(value) / error))
    return intervals.estimate(value, value - half, value + half), p


def picked_range(halves: Array) -> Array:
    """Best minus worst cell, picked on one half and measured on the other: (..., halvings, 2, cells) -> (...)."""
    return _picked(halves, np.max) - _picked(halves, np.min)


def picked_worst(halves: Array) -> Array:
    """The lowest cell, likewise."""
    return _picked(halves, np.min)


def _picked(halves: Array, best: Callable[..., Array]) -> Array:
    # Of several equally good cells the mean, so that no cell is favoured by its index.
    there = np.abs(halves - best(halves, axis=-1, keepdims=True)) <= 1e-12
    other = halves[..., ::-1, :]
    return np.asarray(((other * there).sum(-1) / there.sum(-1)).mean((-1, -2)))


def _again(found: Map, picked: Callable[[Array], Array]) -> Array:
    """What is picked, over and over, if the truth were the map shrunk to its cross-validated range."""
    span, clusters = float(np.ptp(found.values)), len(found.errors)
    keep = min(1.0, max(0.0, float(picked_range(found.halves)) / span)) if span > 0 else 0.0
    centre = found.values.mean()
    truth = centre + keep * (found.values - centre)
    both = _normal(AGAIN, clusters, 1) @ found.errors
    apart = (_normal(AGAIN * HALVINGS, clusters, 2) @ found.errors).reshape(AGAIN, HALVINGS, -1)
    whole = truth + both[:, None]
    return picked(np.stack([whole + apart, whole - apart], 2))


def _noise(errors: Array) -> Array:
    """Errors of all cells at once, (draws, cells): multivariate t."""
    clusters = len(errors)
    scale = np.sqrt((clusters - 1) / np.random.default_rng(4).chisquare(clusters - 1, (DRAWS, 1)))
    return _normal(DRAWS, clusters, 3) @ errors * scale


@lru_cache(8)
def _normal(draws: int, clusters: int, seed: int) -> Array:
    """The same draws for every map, so that maps are compared under the same luck."""
    return np.random.default_rng(seed).normal(size=(draws, clusters))


def _first(enough: Callable[[float], bool], most: float) -> float:
    """The least number up to ``most`` from which on ``enough`` holds; ``most`` where it never does."""
    low, high = 0.0, most
    if enough(0.0):
        return 0.0
    for _ in range(_HALVE):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _tails(at_95: tuple[float, float], level: float) -> tuple[float, float]:
    return at_95[0] * (1 - level) / 0.05, at_95[1] * (1 - level) / 0.05
