"""From the shares of the aligned models to the endpoints of PLAN.md: by model over pictures, then over models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from studies.aligned.ask import MOVED, moves
from studies.words import knowing, reading
from studies.words.reading import HALVINGS, IN_EACH, RESAMPLES, Halves, estimate

Array = NDArray[np.float64]


def by_encoder(moved: Array) -> Array:
    """The shares of moved pictures by the cell that the encoder saw, (pictures, 9), given those by the cell in the
    language model.
    """
    found = np.empty_like(moved)
    np.put_along_axis(found, moves()[: len(moved)].numpy(), moved, 1)
    return found


def carried(halves: Halves, native: Array, factor: Array, samples: int) -> Array:
    """cov(f, m) / var(m) with f the effect of a factor and m the native map, (samples,); products of halves."""
    along, whole = np.zeros(samples), np.zeros(samples)
    for (first, _), (second, effect) in halves.ways(*(its - its.mean(1, keepdims=True) for its in (native, factor))):
        along += (effect * first).sum(1).reshape(samples, -1).sum(1)
        whole += (second * first).sum(1).reshape(samples, -1).sum(1)
    result: Array = along / whole
    return result


def carriers(native: Array, moved: Array) -> dict[str, dict[str, float]]:
    """Shares of the spread of the native map by the cell that the encoder saw and by that in the language model."""
    pictures = len(native)
    whole = Halves.draw(np.ones((1, pictures)), HALVINGS, 1)
    counts = np.random.default_rng(0).multinomial(pictures, np.full(pictures, 1 / pictures), RESAMPLES).astype(float)
    resampled = Halves.draw(counts, IN_EACH, 2)
    return {
        name: estimate(float(carried(whole, native, factor, 1)[0]), carried(resampled, native, factor, RESAMPLES))
        for name, factor in (("encoder", by_encoder(moved)), ("language model", moved))
    }


def record(shares: pd.DataFrame, known: pd.DataFrame, rules: Sequence[str]) -> dict[str, Any]:
    """By model the endpoints over pictures, and what all models say together, with t-intervals over models.
    ``rules``: their order, native first.
    """
    models: dict[str, Any] = {}
    for seed, rows in shares.groupby("seed"):
        maps = {rule: reading.averaged(its) for rule, its in rows.groupby("scheme")}
        found = reading.figures({rule: maps[rule] for rule in rules})
        found["carried"] = carriers(maps["native"], maps[MOVED])
        found["known"] = knowing.figures(known[known["seed"] == seed], rules)
        models[str(seed)] = found
    return {"models": models, "together": together(models)}


def together(models: Mapping[str, Any]) -> dict[str, Any]:
    """Means over models with t-intervals, of every figure that has an interval over pictures."""
    each = list(models.values())
    return _over(each) if len(each) > 1 else {}


def fixed(value: float) -> dict[str, float]:
    """A figure of one model whose interval over pictures is not asked for."""
    return dict.fromkeys(("value", "low", "high"), value)


def _over(each: list[Any]) -> Any:
    first = each[0]
    if not isinstance(first, Mapping):
        return None
    if set(first) == {"value", "low", "high"}:
        values = np.array([one["value"] for one in each])
        reach = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
        middle = values.mean()
        return {
            name: round(float(value), 4)
            for name, value in zip(("value", "low", "high"), (middle, middle - reach, middle + reach), strict=True)
        }
    found = {name: _over([one[name] for one in each]) for name in first if all(name in one for one in each)}
    return {name: its for name, its in found.items() if its}
