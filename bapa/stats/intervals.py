"""Uncertainty of many quantities at once: which units were drawn, and how far a figure moves without one of them.

The unit is the cluster: an item with all its cells and wordings, or all items that share a caption, a class or a source
picture. Smooth quantities get a delete-one-cluster jackknife and Student's t (the CR3 variance of MacKinnon, Nielsen
and Webb 2023, Journal of Econometrics 232); what is picked among cells has :mod:`bapa.stats.extremes`. How often each
interval holds the truth is measured in studies/coverage.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from statsmodels.stats.proportion import proportion_confint

from bapa.stats.trials import Array

_AT_ONCE = 2_000_000  # weights held at once while resampling
_EQUAL = 1e-12  # what differs by less differs by rounding

Key = TypeVar("Key")
Estimate = dict[str, float | None]


@dataclass(frozen=True)
class Sample(Generic[Key]):
    """Quantities by key: their ``values``, and their ``errors``, (clusters,) each: how much the quantity moves when a
    cluster is left out, scaled so that the squares add up to its variance; NaN where it does not exist without one.
    """

    values: dict[Key, float]
    errors: dict[Key, Array]
    clusters: int
    items: int

    def minus(self, one: Key, two: Key) -> tuple[float, Array]:
        """``two - one`` with its errors."""
        return self.values[two] - self.values[one], self.errors[two] - self.errors[one]


def jackknife(statistic: Callable[[Array], Mapping[Key, Array]], clusters: NDArray[np.int64]) -> Sample[Key]:
    """Values and errors of everything that ``statistic`` gives.

    ``statistic``: item weights (n, items) -> key -> (n,). ``clusters``: the cluster of each item, (items,), from 0 on.
    """
    count = int(clusters.max(initial=-1)) + 1
    left_out = (clusters[None] != np.arange(count)[:, None]).astype(float)
    found = statistic(np.vstack([np.ones((1, len(clusters))), left_out]))
    scale = math.sqrt((count - 1) / count) if count > 1 else np.nan
    return Sample(
        {key: float(draws[0]) for key, draws in found.items()},
        {key: scale * (draws[1:] - draws[0]) for key, draws in found.items()},
        count,
        len(clusters),
    )


def mean(value: float, errors: Array, level: float) -> Estimate:
    """A smooth quantity with Student's interval."""
    half = quantile(level, len(errors)) * spread(errors)
    return estimate(value, value - half, value + half)


def change(value: float, errors: Array, level: float, items: int) -> Estimate:
    """A difference of shares: :func:`mean`, but not a point where no cluster tells the two apart: there as wide as
    Wilson's interval of what never happened.
    """
    found = mean(value, errors, level)
    if spread(errors) > _EQUAL or len(errors) < 2:
        return found
    widest = share(0.0, errors, level, items)["high"] or 0.0
    return estimate(value, max(-1.0, value - widest), min(1.0, value + widest))


def share(value: float, errors: Array, level: float, items: int) -> Estimate:
    """A share of ``items`` with Wilson's interval for as many independent answers as its error stands for (Korn and
    Graubard 1998, Survey Methodology 24, with Wilson's in place of the exact one): all items where all agree, with
    Student's t of as few clusters as there are.
    """
    error, clusters = spread(errors), len(errors)
    if not np.isfinite([value, error]).all() or clusters < 2:
        return estimate(value, np.nan, np.nan)
    count = value * (1 - value) / error**2 if error > _EQUAL and 0 < value < 1 else items
    alpha = 2 * float(special.ndtr(-quantile(level, clusters)))
    low, high = proportion_confint(value * count, count, alpha=alpha, method="wilson")
    return estimate(
        value, max(0.0, min(low, value)), min(1.0, max(high, value))
    )  # its arithmetic may stop an ulp short


def p_value(value: float, errors: Array) -> float | None:
    """Two-sided p of "it is zero", by Student's t over clusters; the test that fits :func:`mean`.

    Where no cluster moves the value, that of a sign test in which all clusters agree.
    """
    error, clusters = spread(errors), len(errors)
    if not np.isfinite([value, error]).all() or clusters < 2:
        return None
    if abs(value) <= _EQUAL:
        return 1.0
    if error <= _EQUAL:
        return float(2 * 0.5**clusters)
    return float(2 * special.stdtr(clusters - 1, -abs(value) / error))


def spread(errors: Array) -> float:
    """Standard error."""
    return float(np.sqrt((errors**2).sum()))


def quantile(level: float, clusters: int) -> float:
    """Of Student's t, for a two-sided interval."""
    return float(special.stdtrit(clusters - 1, (1 + level) / 2)) if clusters > 1 else np.nan


def estimate(value: float, low: float, high: float) -> Estimate:
    """An estimate; what is not a number is None."""
    return {
        name: float(x) if np.isfinite(x) else None
        for name, x in zip(("value", "low", "high"), (value, low, high), strict=True)
    }


def bootstrap(
    statistic: Callable[[Array], Mapping[Key, Array]],
    items: int,
    *,
    resamples: int,
    level: float,
    seed: int,
    clusters: NDArray[np.int64] | None = None,
) -> dict[Key, Estimate]:
    """Percentile bootstrap over clusters, for ratios that have no t.

    ``statistic``: item weights (n, items) -> key -> (n,). ``clusters``: of each item, (items,), from 0 on; without them
    each item is one. Of fewer than two clusters, or of what does not exist, there are no bounds.
    """
    of = np.arange(items) if clusters is None else clusters
    count = int(of.max(initial=-1)) + 1
    observed = {key: float(value[0]) for key, value in statistic(np.ones((1, items))).items()}
    estimates = {key: estimate(value, np.nan, np.nan) for key, value in observed.items()}
    keys = [key for key, value in observed.items() if np.isfinite(value)]
    if count < 2 or not keys:
        return estimates

    def resampled(drawn: NDArray[np.int64], axis: int) -> Array:
        found = statistic(weights(drawn)[:, of])
        return np.stack([found[key] for key in keys]).reshape(-1, *drawn.shape[:-1])

    with warnings.catch_warnings():
        # Of a few items, a draw may hold none that has a certain quantity: that one then gets no bounds.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (np.arange(count),),
            resampled,
            n_resamples=resamples,
            batch=max(1, _AT_ONCE // items),
            confidence_level=level,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    for key, low, high in zip(keys, *result.confidence_interval, strict=True):
        estimates[key] = estimate(observed[key], low, high)
    return estimates


def weights(drawn: NDArray[np.int64]) -> Array:
    """How often each of so many was drawn: (n, many) from the drawn indices, (n, many) or (many,)."""
    drawn = np.atleast_2d(drawn)
    offset = np.arange(len(drawn))[:, None] * drawn.shape[1]
    return np.bincount((drawn + offset).ravel(), minlength=drawn.size).reshape(drawn.shape).astype(float)
