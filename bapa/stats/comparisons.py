"""Schemes against the base: differences, tests in families named beforehand, and what may be said of each scheme.

The claims that a page may make are one family, corrected together by Holm's rule: that the place matters under a scheme
(one test a scheme), and that a scheme changes the range or the mean of the primary quantity (two a scheme). The primary
quantity is the criterion-free one, AUC, and the hit rate where nothing absent was asked. All else is secondary: each
quantity is a family of its own, over the schemes. Tables and sentences both go by ``p_adjusted``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from bapa.stats import extremes, intervals
from bapa.stats.extremes import Map
from bapa.stats.floors import is_null
from bapa.stats.intervals import Sample

MARGIN = 0.05  # how far AUC and balanced accuracy may lie below the base's and still count as kept
SMOOTH = ("auc", "hit", "false_alarm", "balanced_accuracy", "consistency")
PICKED = {
    "auc_range": ("auc", extremes.picked_range),
    "auc_worst_cell": ("auc", extremes.picked_worst),
    "range": ("hit", extremes.picked_range),
    "worst_cell": ("hit", extremes.picked_worst),
}
CELLWISE = ("auc", "hit")
Kept = Literal["kept", "lost", "open"]


def base(schemes: Mapping[str, Any]) -> str:
    """The scheme that the others are compared with: native where it was measured, else the first."""
    return "native" if "native" in schemes else next(iter(schemes))


def primary(schemes: Mapping[str, Any]) -> tuple[str, str]:
    """Mean and range that claims are made about: of AUC; of the hit rate where nothing absent was asked."""
    told = all(scheme["overall"]["auc"]["value"] is not None for scheme in schemes.values())
    return ("auc", "auc_range") if told else ("hit", "range")


def compare(
    schemes: dict[str, Any], sample: Sample[Any], maps: Mapping[str, Mapping[str, Map]], level: float
) -> dict[str, Any]:
    """``primary``, ``margin`` and ``comparisons`` of ``bias.json``; completes the tests of each scheme with
    ``p_adjusted`` and says under ``keeps`` whether it tells present from absent as well as the base.
    """
    start, main = base(schemes), primary(schemes)
    rows = [row for label in schemes if label != start for row in _against(start, label, schemes, sample, maps, level)]
    for row in rows:
        row["family"] = "primary" if row["quantity"] in main and "cell" not in row else "secondary"
    place = [schemes[label]["tests"][main[1]] for label in schemes if not is_null(label)]
    _holm([*place, *(row for row in rows if row["family"] == "primary" and not is_null(row["b"]))])
    rest: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    for row in rows:
        if row["family"] != "primary" or is_null(row["b"]):
            rest.setdefault((row["quantity"], "cell" in row), []).append(row)
    for scheme in schemes.values():
        for name, test in scheme["tests"].items():
            if "p_adjusted" not in test:
                rest.setdefault((f"test of {name}", False), []).append(test)
    for family in rest.values():
        _holm(family)
    for label, scheme in schemes.items():
        scheme["keeps"] = _keeps(start, label, sample, level)
    return {"primary": list(main), "margin": MARGIN, "comparisons": rows}


def _against(
    a: str,
    b: str,
    schemes: Mapping[str, Any],
    sample: Sample[Any],
    maps: Mapping[str, Mapping[str, Map]],
    level: float,
) -> list[dict[str, Any]]:
    """Differences ``b - a``: over cells, then cell by cell."""
    rows: list[dict[str, Any]] = []
    for name in SMOOTH:
        value, errors = sample.minus((a, f"overall.{name}", -1), (b, f"overall.{name}", -1))
        rows.append(
            _row(a, b, name, intervals.change(value, errors, level, sample.items), intervals.p_value(value, errors))
        )
    for name, (quantity, picked) in PICKED.items():
        rows.append(_row(a, b, name, *extremes.difference(maps[a][quantity], maps[b][quantity], picked, level)))
    for name in CELLWISE:
        for cell in range(len(schemes[a]["cells"])):
            value, errors = sample.minus((a, name, cell), (b, name, cell))
            row = _row(
                a, b, name, intervals.change(value, errors, level, sample.items), intervals.p_value(value, errors)
            )
            rows.append({**row, "cell": cell})
    return rows


def _row(a: str, b: str, quantity: str, difference: intervals.Estimate, p: float | None) -> dict[str, Any]:
    return {"a": a, "b": b, "quantity": quantity, "difference": difference, "p": p}


def _keeps(start: str, label: str, sample: Sample[Any], level: float) -> dict[str, Kept | None]:
    """By AUC and balanced accuracy: whether they are ``kept`` (the one-sided interval lies above the margin), ``lost``
    (it lies below the base by more than the margin, and by more than chance), or ``open``.
    """
    found: dict[str, Kept | None] = {}
    for name in ("auc", "balanced_accuracy"):
        value, errors = sample.minus((start, f"overall.{name}", -1), (label, f"overall.{name}", -1))
        half = intervals.quantile(2 * level - 1, len(errors)) * intervals.spread(errors)
        if not np.isfinite([value, half]).all():
            found[name] = None
        else:
            lost = value < -MARGIN and value + half < 0
            found[name] = "kept" if value - half > -MARGIN else "lost" if lost else "open"
    return found


def _holm(family: list[dict[str, Any]]) -> None:
    """Holm's step-down rule. (statsmodels has it too, at half a second a call: it collects garbage first.)"""
    tested = sorted((row for row in family if row["p"] is not None), key=lambda row: float(row["p"]))
    least = 0.0
    for rank, row in enumerate(tested):
        least = max(least, min(1.0, row["p"] * (len(tested) - rank)))
        row["p_adjusted"] = least
    for row in family:
        row.setdefault("p_adjusted", None)
