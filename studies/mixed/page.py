"""The tables of docs/studies/mixed.md, from the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studies.coded.ask import CHANCE
from studies.coded.page import MAP, Rows, arms, every, mapped, maybe, teaching
from studies.study import Blocks, Study, table

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
            "models": table(*every(record.get("models", {}))),
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


STUDY = Study("mixed", blocks)
