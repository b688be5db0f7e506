"""What the judging items say of a choice: is it at least as good as native, and would a threshold have done?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats as tests
from sklearn.metrics import roc_curve
from statsmodels.stats.weightstats import ttost_paired

from bapa.calibrate.criteria import accuracy
from bapa.stats import Settings, bias, clusters, trials
from bapa.stats.comparisons import MARGIN
from bapa.stats.trials import ABSENT, Array


def threshold(answers: pd.DataFrame) -> float | None:
    """The margin above which "yes" gives the best balanced accuracy on the yes/no questions among ``answers``; None
    where nothing absent was asked.
    """
    asked = trials.counted(answers)  # a margin of where something stands has another threshold
    there = asked[asked["margin"].notna()]
    present = ~there["kind"].isin(ABSENT)
    if present.all() or not present.any():
        return None
    false, true, cuts = roc_curve(present, there["margin"], drop_intermediate=False)
    best = int(np.argmax(true - false))
    low = cuts[best + 1] if best + 1 < len(cuts) else cuts[best]
    return float((cuts[best] + low) / 2) if np.isfinite(cuts[best]) else float(low)


def arms(
    picking: Mapping[str, pd.DataFrame], judging: pd.DataFrame, cells: int, names: tuple[str, ...], settings: Settings
) -> dict[str, Any]:
    """By rule: the ``threshold`` fitted on the answers to the picking items, and what the judging items say with it,
    the quantities ``names`` over the cells.
    """
    found = {}
    for label, rows in judging.groupby("scheme", sort=False):
        cut = threshold(picking[str(label)]) if str(label) in picking else None
        if cut is None:
            continue
        asked = trials.counted(rows)
        moved = asked.assign(margin=asked["margin"] - cut)
        moved["correct"] = (moved["margin"] > 0) == ~moved["kind"].isin(ABSENT)
        overall = bias.overall(moved, cells, settings)
        found[str(label)] = {"threshold": cut, **{name: overall[name] for name in names}}
    return found


def against_native(judging: pd.DataFrame, chosen: str, cells: int, settings: Settings) -> dict[str, Any]:
    """Balanced accuracy under ``chosen`` against native, over what counts as one observation: paired t test, and two
    one-sided ones (TOST, Schuirmann 1987) against :data:`~bapa.stats.comparisons.MARGIN`; sign tests where all
    observations change by the same.

    ``says``: ``same`` (native was chosen), ``better`` or ``worse`` (two-sided), ``equivalent`` (within the margin on
    both sides), ``not below`` (by no more than the margin) or ``open``.
    """
    about = {"margin": MARGIN, "chosen": chosen}
    if chosen == "native":
        return {**about, "says": "same", "difference": 0.0, "p": None, "p_equivalent": None, "p_below": None}
    one, two = (_clustered(judging[judging["scheme"] == label], cells, settings) for label in ("native", chosen))
    change = two - one
    if len(change) < 2 or not change.any():
        return {**about, "says": "open", "difference": 0.0, "p": None, "p_equivalent": None, "p_below": None}
    if np.ptp(change) == 0:  # all move alike: no t, but sign tests in which all agree
        agree = 0.5 ** len(change)
        p = 2 * agree
        p_both, p_below = (agree if within else 1.0 for within in (abs(change[0]) < MARGIN, change[0] > -MARGIN))
    else:
        p = float(tests.ttest_rel(two, one).pvalue)
        p_both, (_, p_below, _), _ = ttost_paired(two, one, -MARGIN, MARGIN)
    told = {"difference": float(change.mean()), "p": p, "p_equivalent": float(p_both), "p_below": float(p_below)}
    return {**about, "says": _says(told, 1 - settings.level), **told, "observations": len(change)}


def _says(told: Mapping[str, float], alpha: float) -> str:
    if told["p"] < alpha:
        return "better" if told["difference"] > 0 else "worse"
    if told["p_equivalent"] < alpha:
        return "equivalent"
    return "not below" if told["p_below"] < alpha else "open"


def _clustered(rows: pd.DataFrame, cells: int, settings: Settings) -> Array:
    """Balanced accuracy of each cluster, the mean of its items'."""
    over = clusters.clusters(rows, settings.cluster)
    values = accuracy(rows, cells)
    return np.asarray(np.bincount(over.of, values) / np.bincount(over.of))
