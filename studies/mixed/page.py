"""The tables of docs/studies/mixed.md, from the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studies.coded.ask import CHANCE
from studies.coded.page import Rows, arms, every, maybe, teaching
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
            "kept": table(*_kept(its.get("kept", {}))),
            "goals": table(*_goals(its.get("goals", {}))),
            "models": table(*every(record.get("models", {}))),
        }
    }


def _kept(its: Mapping[str, Any]) -> Rows:
    """Head and rows: how much of what one model knows of places another knows."""
    rows = [[name, *(maybe(found.get(what)) for what in CHANCE)] for name, found in its.items()]
    return ["taught, asked under", *CHANCE], rows


def _goals(its: Mapping[str, Any]) -> Rows:
    """Head and rows: how far the ranges lie above both goals."""
    rows = [[name, *(maybe(its[goal].get(name)) for goal in GOALS)] for name in its.get("half", {})]
    return ["taught, asked under", *GOALS.values()], rows


STUDY = Study("mixed", blocks)
