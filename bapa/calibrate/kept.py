"""What a rule keeps of a side-effect probe: its share of the answers that the model gets right natively."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bapa.stats import Settings, clusters, intervals, rates, trials
from bapa.stats.intervals import Estimate
from bapa.stats.trials import Array


def kept(native: pd.DataFrame, rule: pd.DataFrame, cells: int, settings: Settings) -> Estimate:
    """Right answers under a rule over right answers natively, on the same items: 1 is as many, less is fewer.

    ``native``, ``rule``: rows of ``answers.parquet`` under one scheme each. The interval is Student's over clusters,
    from a paired jackknife of the quotient; where no cluster tells the two apart it is as wide as Wilson's interval of
    what never happened. Native positions keep 1, without doubt. Both bounds are None of one cluster, and everything
    where natively nothing is right.
    """
    if set(rule["scheme"]) == set(native["scheme"]):
        return intervals.estimate(1.0, 1.0, 1.0)
    here = rule[rule["item"].isin(set(native["item"]))]
    there = native[native["item"].isin(set(rule["item"]))]
    ((_, one),) = trials.read(there, cells).items()
    ((_, two),) = trials.read(here, cells).items()

    def quotient(weights: Array) -> dict[str, Array]:
        right = [rates.average(rates.mean(its.hits, weights)) for its in (one, two)]
        return {"share": rates.ratio(right[1], right[0])}

    sample = intervals.jackknife(quotient, clusters.clusters(there, settings.cluster).of)
    value, errors = sample.values["share"], sample.errors["share"]
    if not np.isfinite(value) or not np.isfinite(errors).all():
        return intervals.estimate(value, np.nan, np.nan)
    found = intervals.change(value - 1, errors, settings.level, sample.items)
    return {name: None if bound is None else max(0.0, 1 + bound) for name, bound in found.items()}


def short(found: Estimate, keep: float) -> float:
    """How far a rule surely falls below ``keep``: what the middle of value and upper bound lacks, 0 where nothing.

    Candidates leave a search by it early, on few items, so it gives the benefit of half the doubt.
    """
    value, high = found["value"], found["high"]
    if value is None:
        return 1.0
    return max(0.0, keep - (value if high is None else min((value + high) / 2, value + 0.1)))


def holds(found: Estimate, keep: float) -> bool:
    """Whether even the lower bound is at least ``keep``."""
    return found["low"] is not None and found["low"] >= keep
