"""The tables of docs/studies/mixed.md, from the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studies.coded.ask import CHANCE
from studies.coded.page import MAP, Rows, arms, every, mapped, maybe, teaching
from studies.mixed.ask import NATIVELY_CENTRAL
from studies.study import Blocks, Study, table
from studies.text import share

GOALS = {"quarter": "range less a quarter of that before", "half": "range less a half of that before"}


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    its = record.get("together", {})
    return {
        "docs/studies/mixed.md": {
            "teaching": table(*teaching(record.get("teaching", {}))),
            "arms": table(*arms(its.get("arms", {}))),
            "less": table(*arms(its.get("less", {}), CHANCE)),
            "middle": table(*_middle(its)),
            "more": table(*_more(its.get("more", {}))),
            "kept": table(*_kept(its.get("kept", {}))),
            "goals": table(*_goals(its.get("goals", {}))),
            "switched": table(*_switched(its.get("switched on", {}))),
            "models": table(*every(record.get("models", {}))),
            **_moved(record.get("moved", {})),
        }
    }


def _middle(its: Mapping[str, Any]) -> Rows:
    """Head and rows: how far the middle cell lies above the mean of all."""
    rows = [[name, maybe(one)] for part in ("middle", "middle less") for name, one in its.get(part, {}).items()]
    return ["taught, asked under", "AUC of the middle cell less the mean of all nine"], rows


def _more(its: Mapping[str, Any]) -> Rows:
    """Head and rows: how much more the rule does where names are central."""
    rows = [["under bapa less natively, central less alike", *mapped(its)]] if its else []
    return ["difference of differences", *MAP.values()], rows


def _kept(its: Mapping[str, Any]) -> Rows:
    """Head and rows: how much of what one model knows of places another knows."""
    rows = [[name, *(maybe(found.get(what)) for what in CHANCE)] for name, found in its.items()]
    return ["taught, asked under", *CHANCE], rows


def _goals(its: Mapping[str, Any]) -> Rows:
    """Head and rows: how far the ranges lie above both goals."""
    rows = [[name, *(maybe(its[goal].get(name)) for goal in GOALS)] for name in its.get("half", {})]
    return ["taught, asked under", *GOALS.values()], rows


def _switched(its: Mapping[str, Any]) -> Rows:
    """Head and rows: how far rules switched on after central tuning miss the goal of half the range."""
    return ["rule", "range less a half of natively, central, native"], [[name, maybe(one)] for name, one in its.items()]


def _moved(found: Mapping[str, Any]) -> dict[str, str]:
    """What was carried where, of each model and of all; what moving did to the map; the control."""
    models, over = found.get("models", {}), found.get("together", {})
    parts, halves = over.get("carried", {}), over.get("more than half", {})
    seeds = [f"projector {seed}" for seed in models]
    carried = [
        [
            arm,
            name,
            maybe(one),
            *(share(its["carried"][arm][name]["value"]) for its in models.values()),
            maybe(halves[arm].get(name)),
        ]
        for arm, names in parts.items()
        for name, one in names.items()
    ]
    changes = [[f"{name} moved, less not", *mapped(one)] for name, one in over.get("moved", {}).items()]
    changes += [[f"{NATIVELY_CENTRAL}, {name}", *mapped(one)] for name, one in over.get("control", {}).items()]
    return {
        "carried": table(["tuned", "carried by", "all three (t)", *seeds, "less half of the advantage"], carried),
        "moved": table(["what is compared", *MAP.values()], changes),
    }


STUDY = Study("mixed", blocks)
