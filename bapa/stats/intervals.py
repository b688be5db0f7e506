"""Bootstrap intervals of many quantities at once, from one set of resamples of the items."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from bapa.stats.trials import Array

_AT_ONCE = 2_000_000  # weights held at once while resampling

Key = TypeVar("Key")
Estimate = dict[str, float | None]


@dataclass(frozen=True)
class Sample(Generic[Key]):
    """Quantities by key: their ``estimates`` with percentile bounds, their bootstrap ``draws``, (resamples,) each."""

    estimates: dict[Key, Estimate]
    draws: dict[Key, Array]


def bootstrap(
    statistic: Callable[[Array], Mapping[Key, Array]], items: int, *, resamples: int, level: float, seed: int
) -> Sample[Key]:
    """Percentile bootstrap over items.

    ``statistic``: item weights (n, items) -> key -> (n,). Of fewer than two items, or of what does not exist, there
    are neither bounds nor draws.
    """
    observed = {key: float(value[0]) for key, value in statistic(np.ones((1, items))).items()}
    estimates = {key: estimate(value, np.nan, np.nan) for key, value in observed.items()}
    keys = [key for key, value in observed.items() if np.isfinite(value)]
    if items < 2 or not keys:
        return Sample(estimates, {})

    def resampled(drawn: NDArray[np.int64], axis: int) -> Array:
        found = statistic(weights(drawn))
        return np.stack([found[key] for key in keys]).reshape(-1, *drawn.shape[:-1])

    with warnings.catch_warnings():
        # Of a few items, a draw may hold none that has a certain quantity: that one then gets no bounds.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (np.arange(items),),
            resampled,
            n_resamples=resamples,
            batch=max(1, _AT_ONCE // items),
            confidence_level=level,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    for key, low, high in zip(keys, *result.confidence_interval, strict=True):
        estimates[key] = estimate(observed[key], low, high)
    return Sample(estimates, dict(zip(keys, result.bootstrap_distribution, strict=True)))


def estimate(value: float, low: float, high: float) -> Estimate:
    """An estimate; what is not a number is None."""
    return {
        name: float(x) if np.isfinite(x) else None
        for name, x in zip(("value", "low", "high"), (value, low, high), strict=True)
    }


def weights(drawn: NDArray[np.int64]) -> Array:
    """How often each item was drawn: (n, items) from the drawn indices, (n, items) or (items,)."""
    drawn = np.atleast_2d(drawn)
    offset = np.arange(len(drawn))[:, None] * drawn.shape[1]
    return np.bincount((drawn + offset).ravel(), minlength=drawn.size).reshape(drawn.shape).astype(float)


def unanimous(share: Estimate, items: int, level: float) -> Estimate:
    """A share of the items with Wilson's interval where all agree: there every resample is equal, and says nothing."""
    value = share["value"]
    if value not in (0, 1) or share["low"] != share["high"]:
        return share
    low, high = proportion_confint(value * items, items, alpha=1 - level, method="wilson")
    return estimate(value, min(low, value), max(high, value))  # its arithmetic may stop an ulp short


def extremes(cells: Array, draws: Array, level: float) -> tuple[Estimate, Estimate]:
    """The range over cells and the worst cell.

    ``cells``: (cells,) estimates; ``draws``: (cells, resamples). The plain bootstrap fails for a maximum: resampling
    adds noise, so even an unbiased model never shows a range near zero. Here instead, each bound holds with
    probability (1 + level) / 2: the true range is at most the observed one plus the error of a fixed pair of cells,
    and at least the observed one minus the largest error of any pair (Tukey's argument for pairwise comparisons);
    likewise for the worst cell.
    """
    side = (1 + level) / 2
    error = draws - cells[:, None]
    pairs = np.quantile(error[:, None] - error[None, :], side, axis=-1)
    span, worst = np.ptp(cells), cells.min()
    span_low = span - np.quantile(np.ptp(error, axis=0), side)
    worst_low = worst - np.quantile(error, side, axis=-1).max()
    worst_high = worst - np.quantile(error.min(0), 1 - side)
    return (
        estimate(span, max(0, span_low), min(1, span + pairs.max())),
        estimate(worst, max(0, worst_low), min(1, worst_high)),
    )


def difference(one: Estimate, two: Estimate) -> Estimate:
    """``two - one`` from the bounds alone (MOVER: Zou and Donner 2008, Statistics in Medicine 27)."""
    a, a_low, a_high, b, b_low, b_high = (
        np.nan if x is None else x for e in (one, two) for x in (e["value"], e["low"], e["high"])
    )
    return estimate(b - a, b - a - math.hypot(b - b_low, a_high - a), b - a + math.hypot(b_high - b, a - a_low))
