"""What codes, positions and order each carry of the advantage of the middle: endpoints of PLAN-3.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from studies.aligned.reading import together
from studies.mixed.ask import NATIVELY_CENTRAL, SWITCHED_CENTRAL, UNDER_CENTRAL
from studies.words import reading
from studies.words.reading import RESAMPLES, Array, estimate

UNMOVED = {  # by what is moved: what it is held against
    NATIVELY_CENTRAL: f"{NATIVELY_CENTRAL}, native",
    UNDER_CENTRAL: f"{UNDER_CENTRAL}, bapa",
    SWITCHED_CENTRAL: f"{NATIVELY_CENTRAL}, bapa",
}
MIDDLE, GAINS = 4, 8  # cells: that loses the attribute of the middle, and that gains it
CORNERS = (0, GAINS)  # the other cells of its round
POSITIONS = f"{NATIVELY_CENTRAL}: positions"
Maps = Mapping[str, Array]  # by what is asked: the shares of every picture and cell, (pictures, 9)


def record(shares: pd.DataFrame, moved: pd.DataFrame) -> dict[str, Any]:
    """By model and over models the endpoints. ``shares``: with nothing moved, of ``arm`` and ``rule``."""
    models = {}
    for seed, rows in moved.groupby("seed"):
        own = shares[(shares["seed"] == seed) & shares["arm"].isin((NATIVELY_CENTRAL, UNDER_CENTRAL))]
        maps = {f"{arm}, {rule}": reading.averaged(its) for (arm, rule), its in own.groupby(["arm", "rule"])}
        models[str(seed)] = figures(maps | {name: reading.averaged(its) for name, its in rows.groupby("moved")})
    return {"models": models, "together": together(models)}


def figures(maps: Maps) -> dict[str, Any]:
    """The endpoints of one model."""
    carries = {arm: carried(maps, arm) for arm in UNMOVED}
    native, shared = UNMOVED[NATIVELY_CENTRAL], UNMOVED[SWITCHED_CENTRAL]
    return {
        "carried": {arm: {name: _told(its) for name, its in parts.items()} for arm, parts in carries.items()},
        "more than half": {
            arm: {name: _told(its - parts["advantage"] / 2) for name, its in parts.items() if name not in _SUMS}
            for arm, parts in carries.items()
        },
        "moved": {name: _change(maps, name, before) for arm, before in UNMOVED.items() for name in _of(maps, arm)},
        "control": {
            "bapa less positions moved": _change(maps, shared, POSITIONS),
            "bapa less native": _change(maps, shared, native),
        },
    }


_SUMS = ("advantage", "left")


def carried(maps: Maps, arm: str) -> dict[str, Array]:
    """Of every picture the advantage of the middle cell over two corners, and what each attribute carries of it."""
    before = maps[UNMOVED[arm]]
    change = {name.partition(": ")[2]: maps[name] - before for name in _of(maps, arm)}
    parts = {what: (its[:, GAINS] - its[:, MIDDLE]) / 2 for what, its in change.items()}
    if "order and positions" in parts:
        parts["order"] = parts.pop("order and positions") - parts["positions"]
    advantage = before[:, MIDDLE] - before[:, CORNERS].mean(1)
    return {"advantage": advantage, **parts, "left": advantage - sum(parts.values())}


def _of(maps: Maps, arm: str) -> list[str]:
    """What was moved in the models of an ``arm``."""
    return [name for name in maps if name.startswith(f"{arm}: ")]


def _told(each: Array) -> dict[str, float]:
    """The mean over pictures."""
    counts = np.random.default_rng(0).multinomial(len(each), np.full(len(each), 1 / len(each)), RESAMPLES)
    return estimate(float(each.mean()), counts @ each / len(each))


def _change(maps: Maps, mine: str, other: str) -> dict[str, Any]:
    """How mean, worst cell and range of one map differ from those of another."""
    found: dict[str, Any] = reading.figures({"native": maps[other], "mine": maps[mine]})["rules"]["mine"]["change"]
    return found
