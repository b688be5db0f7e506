"""What the picking items' choice among fitted rules gives on models nobody had looked at: the endpoints of PLAN.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from bapa.calibrate.frontier import read
from bapa.stats.text import p_value
from studies.study import missing, table
from studies.text import share
from studies.where.rules import KNOWING

SKEWS, SEEDS = ("top", "center", "bottom"), (4, 5)
MODELS = [f"places-{skew}-{seed}" for seed in SEEDS for skew in SKEWS]
UNEVEN = 0.05  # AUC range natively, from which a model is judged, if it knows rows
FEWEST = 3  # models from which something is said over models


def over_models(fit: Mapping[str, Any]) -> str:
    """Every endpoint: mean, 95 % t interval and p over the judged models, the mean of each seed, each model."""
    judged = [name for name in MODELS if name in fit and is_judged(fit[name])]
    left = [name for name in MODELS if name in fit and name not in judged]
    told = f"\n\nAsked and not judged: {', '.join(left)}." if left else ""
    if len(judged) < FEWEST:
        return f"Judged: {', '.join(judged) or 'none'}, too few to say anything over models.{told}" + _wanting(fit)
    found = {name: endpoints(fit[name]) for name in judged}
    rows = []
    for what, null in NULLS.items():
        values = np.array([its[what] for its in found.values()])
        test = stats.ttest_1samp(values, 0.0 if null is None else null)
        span = test.confidence_interval(0.95)
        seeds = [values[[name.endswith(f"-{seed}") for name in judged]] for seed in SEEDS]
        rows.append(
            [
                what,
                share(float(values.mean())),
                f"{share(float(span.low))} to {share(float(span.high))}",
                "" if null is None else p_value(float(test.pvalue)),
                ", ".join(share(float(its.mean())) for its in seeds if len(its)),
                ", ".join(share(value) for value in values),
            ]
        )
    head = ["of the chosen rule", "mean", "95 % interval", "p", "by seed", ", ".join(judged)]
    return table(head, rows) + told + _wanting(fit)


def is_judged(found: Mapping[str, Any]) -> bool:
    """Whether a model is uneven natively and knows rows."""
    native = next(one for one in read(found["fresh"]).points if one.candidate == "native")
    rows: float = found["rates"]["where"]["native"]["value"]
    return bool((native.range["value"] or 0.0) >= UNEVEN and rows >= KNOWING)


def endpoints(found: Mapping[str, Any]) -> dict[str, float]:
    """The endpoints of one model, as shares."""
    points = {one.candidate: one for one in read(found["fresh"]).points}
    native, chosen = points["native"], points[found["chosen"]]
    refitted = {rule: found["refitted"][rule] for rule in ("native", "bapa", found["chosen"])}

    def gain(name: str, other: str) -> float:
        return float(refitted[found["chosen"]][name]["value"] - refitted[other][name]["value"])

    before = native.range["value"] or 0.0
    after = chosen.range["value"] or 0.0
    values = (
        after - before,
        after / before,
        (chosen.worst["value"] or 0.0) - (native.worst["value"] or 0.0),
        chosen.kept["where"]["value"] or 0.0,
        chosen.kept["order"]["value"] or 0.0,
        gain("balanced_accuracy", "native"),
        gain("balanced_accuracy", "bapa"),
        gain("range", "native"),
    )
    return dict(zip(NULLS, values, strict=True))


NULLS: dict[str, float | None] = {
    "AUC range less native's": 0.0,
    "AUC range of native's": None,
    "worst cell less native's": 0.0,
    "rows kept": None,
    "order kept": None,
    "balanced accuracy, threshold refitted, less native's": 0.0,
    "the same less `bapa`'s": 0.0,
    "hits range, threshold refitted, less native's": 0.0,
}


def _wanting(fit: Mapping[str, Any]) -> str:
    return missing(MODELS, [name for name in MODELS if name in fit])
