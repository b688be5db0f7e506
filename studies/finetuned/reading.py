"""From the answers of tuned models, beside those of the untuned ones, to the endpoints of PLAN.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.aligned.reading import together
from studies.finetuned.ask import BALANCED, NAMES, NATIVELY, SWITCHED, Tables
from studies.words import knowing, reading
from studies.words.reading import RESAMPLES, estimate

UNTUNED, BEFORE = "untuned", "untuned, asked under bapa"
MIDDLE = 4
Array = NDArray[np.float64]
Maps = Mapping[str, Array]  # by condition: the shares of every picture and cell, (pictures, 9)


def record(before: pd.DataFrame, new: Tables) -> dict[str, Any]:
    """By kind of data, by model and over models, the endpoints. ``before``: shares of the untuned models."""
    shares, known = new
    found: dict[str, Any] = {}
    for data, rows in shares.groupby("data"):
        models: dict[str, Any] = {}
        for seed, its in rows.groupby("seed"):
            maps = {
                name: reading.averaged(its[its["condition"] == name]) for name in NAMES if name in set(its["condition"])
            }
            old = before[before["seed"] == seed]
            untuned = {name: reading.averaged(old[old["scheme"] == rule]) for rule, name in _OLD.items()}
            near = known[(known["data"] == data) & (known["seed"] == seed)]
            models[str(seed)] = figures(untuned, maps) | {"known": _known(near)}
        found[str(data)] = {"models": models, "together": together(models)}
    return found


def figures(untuned: Maps, tuned: Maps) -> dict[str, Any]:
    """The endpoints of one model: of every condition the map and its change from the untuned model; what the native
    tuning is held against; the middle cell.
    """
    return {
        "from untuned": _rules({UNTUNED: untuned[UNTUNED], BEFORE: untuned[BEFORE], **tuned}),
        "from tuned natively": _rules(tuned),
        "rule alone": _rules({BEFORE: untuned[BEFORE], BALANCED: tuned[BALANCED]}),
        "switched on": _rules({SWITCHED: tuned[SWITCHED], BALANCED: tuned[BALANCED]}),
        "middle": middle({UNTUNED: untuned[UNTUNED], **tuned}),
    }


_OLD = {"native": UNTUNED, "bapa": BEFORE}


def middle(maps: Maps) -> dict[str, Any]:
    """By condition: how far the AUC of the middle cell lies above the mean of all, and how much further than that of
    the model tuned natively.
    """
    pictures = len(next(iter(maps.values())))
    counts = np.random.default_rng(0).multinomial(pictures, np.full(pictures, 1 / pictures), RESAMPLES)
    above = {name: its[:, MIDDLE] - its.mean(1) for name, its in maps.items()}
    again = {name: counts @ its / pictures for name, its in above.items()}
    return {
        name: {
            "above": estimate(float(its.mean()), again[name]),
            "change": estimate(float(its.mean() - above[NATIVELY].mean()), again[name] - again[NATIVELY]),
        }
        for name, its in above.items()
    }


def _rules(maps: Maps) -> dict[str, Any]:
    """Mean, worst cell, range and cells of every map, and their changes from the first."""
    first = next(iter(maps))
    its: dict[str, Any] = reading.figures({"native": maps[first], **{n: m for n, m in maps.items() if n != first}})
    return {(first if name == "native" else name): found for name, found in its["rules"].items()}


def _known(rows: pd.DataFrame) -> dict[str, Any]:
    """What is known of neighbours; *kept* is a share of what the model tuned natively knows."""
    named = rows.assign(scheme=rows["condition"].replace(NATIVELY, "native"))
    found = knowing.figures(named, ["native", *NAMES])
    return {
        form: {(NATIVELY if name == "native" else name): its for name, its in of.items()} for form, of in found.items()
    }
