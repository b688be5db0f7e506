"""From answers to the endpoints of PLAN.md. The seed is the unit; within a model, items are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bapa.stats.rates import auc

HALVINGS, SHUFFLES, MARGIN = 64, 2000, 0.02
Array = NDArray[np.float64]


class Margins:
    """Margins of one model under one rule, items x cells x 1: ``present`` and ``absent``.

    ``known``: only those whose key (absent: whose asked thing) is named by one word, as all things trained on are; the
    others are NaN.
    """

    def __init__(self, answers: pd.DataFrame, known: bool) -> None:
        self.present, self.absent = (self._table(answers, kind, known) for kind in ("present", "absent"))
        rng = np.random.default_rng(0)
        items = len(self.present)
        self.halves = np.array([rng.permutation(items) < items // 2 for _ in range(HALVINGS)], float)

    @staticmethod
    def _table(answers: pd.DataFrame, kind: str, known: bool) -> Array:
        rows = answers[answers["kind"] == kind]
        margin = rows["margin"].astype(float).where(rows["asked"].map(one_word) | (not known))
        return rows.assign(margin=margin).pivot(index="item", columns="cell", values="margin").to_numpy()[..., None]

    def auc(self, weights: Array | None = None) -> Array:
        """AUC of every cell, (weightings, cells); without weights over all items."""
        return auc(self.present, self.absent, np.ones((1, len(self.present))) if weights is None else weights)

    def held_out(self) -> tuple[float, float]:
        """Range over cells and AUC of the worst cell: cells picked on one half of the items, measured on the other."""
        one, two = self.auc(self.halves), self.auc(1 - self.halves)
        ranges, worst = [], []
        for pick, judge in ((one, two), (two, one)):
            low = np.take_along_axis(judge, pick.argmin(1)[:, None], 1)
            ranges.append(np.take_along_axis(judge, pick.argmax(1)[:, None], 1) - low)
            worst.append(low)
        return float(np.mean(ranges)), float(np.mean(worst))

    def accuracy(self) -> float:
        """Balanced accuracy with a threshold fitted on one half of the items and judged on the other."""
        found = []
        for half in self.halves[:16].astype(bool):
            yes, no = self.present[half], self.absent[half]
            tried = np.nanquantile(np.r_[yes.ravel(), no.ravel()], np.linspace(0.02, 0.98, 49))
            best = tried[np.argmax([_share(yes, t) + 1 - _share(no, t) for t in tried])]
            found.append((_share(self.present[~half], best) + 1 - _share(self.absent[~half], best)) / 2)
        return float(np.mean(found))


def _share(values: Array, threshold: float) -> float:
    """How many lie above a threshold, of those that are there."""
    return float((values[np.isfinite(values)] > threshold).mean())


def one_word(caption: str) -> bool:
    """Whether a thing is named by one word."""
    return " " not in caption.removeprefix("an ").removeprefix("a ")


def models(answers: pd.DataFrame, known: bool) -> dict[str, dict[str, Any]]:
    """The figures of every model and rule, by ``A-1 native``."""
    found = {}
    for (model, scheme), rows in answers.groupby(["model", "scheme"], sort=True):
        margins = Margins(rows, known)
        cells = margins.auc()[0]
        spread, worst = margins.held_out()
        found[f"{model} {scheme}"] = {
            "items": int(np.isfinite(margins.present[:, 0]).sum()),
            "auc": [round(value, 4) for value in cells.tolist()],
            "mean": round(float(cells.mean()), 4),
            "middle": round(float(cells[len(cells) // 2] - cells.mean()), 4),
            "range": round(spread, 4),
            "worst": round(worst, 4),
            "accuracy": round(margins.accuracy(), 4),
            "hits": round(_share(margins.present, 0), 4),
            "false_alarms": round(_share(margins.absent, 0), 4),
        }
    return found


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean, 95 % t interval and two-sided p against zero; equivalence: p of two one-sided tests at 2 points."""
    x = np.asarray(values)
    if len(x) < 2:
        return {"mean": round(float(x.mean()), 4), "low": None, "high": None, "p": None, "same": None, "n": len(x)}
    low, high = stats.t.interval(0.95, len(x) - 1, x.mean(), stats.sem(x))
    above, below = (stats.ttest_1samp(x, edge, alternative=side).pvalue for edge, side in _EDGES)
    return {
        "mean": round(float(x.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "p": round(float(stats.ttest_1samp(x, 0).pvalue), 4),
        "same": round(float(max(above, below)), 4),
        "n": len(x),
    }


_EDGES = ((-MARGIN, "greater"), (MARGIN, "less"))


def agreement(maps: Sequence[Sequence[float]]) -> dict[str, float]:
    """Mean correlation between maps, and the 95th centile of what it is with the cells of each shuffled."""
    table = np.array(maps)
    rng = np.random.default_rng(0)

    def mean(one: Array) -> float:
        return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in combinations(one, 2)]))

    null = [mean(rng.permuted(table, axis=1)) for _ in range(SHUFFLES)]
    return {"mean": round(mean(table), 3), "null95": round(float(np.quantile(null, 0.95)), 3)}


def compare(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The endpoints over seeds."""
    seeds: dict[str, list[str]] = {}
    for key in found:
        if key.endswith(" native"):
            model = key.removesuffix(" native")
            seeds.setdefault(model[0], []).append(model)
    result: dict[str, Any] = {"range": {}, "middle": {}, "agreement": {}, "change": {}, "against": {}}
    for arm, names in seeds.items():
        result["range"][arm] = over_seeds([found[f"{name} native"]["range"] for name in names])
        result["middle"][arm] = over_seeds([found[f"{name} native"]["middle"] for name in names])
        if len(names) > 1:
            result["agreement"][arm] = agreement([found[f"{name} native"]["auc"] for name in names])
        rules = sorted({key.split(" ", 1)[1] for key in found if key[0] == arm} - {"native"})
        for rule in rules:
            result["change"][f"{arm} {rule}"] = {
                what: over_seeds([found[f"{name} {rule}"][what] - found[f"{name} native"][what] for name in names])
                for what in ("worst", "mean", "range", "middle", "accuracy")
            }
    for label, (one, other) in {
        "A native - D native": ("A {} native", "D {} native"),
        "C bapa - A native": ("C {} bapa", "A {} native"),
        "E native - A native": ("E {} native", "A {} native"),
    }.items():
        pairs = [(one.format(s), other.format(s)) for s in range(1, 6)]
        pairs = [(a.replace(" ", "-", 1), b.replace(" ", "-", 1)) for a, b in pairs]
        both = [(a, b) for a, b in pairs if a in found and b in found]
        if both:
            result["against"][label] = {
                what: over_seeds([found[a][what] - found[b][what] for a, b in both])
                for what in ("range", "worst", "mean", "middle")
            }
    return result
