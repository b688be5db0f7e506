"""The tables of docs/studies/shuffled.md, from the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studies.coded import page as coded
from studies.coded.ask import CHANCE
from studies.coded.page import ASKED, MAP, Rows, arms, every, mapped, maybe, rights, teaching
from studies.study import Blocks, Study, table

GOALS = {"quarter": "range less a quarter of native's", "half": "range less a half of native's"}


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    its = record.get("together", {})
    return {
        "docs/studies/shuffled.md": {
            "teaching": table(*teaching(record.get("teaching", {}))),
            "whose": table(*_whose(its.get("whose", {}))),
            "rules": table(*_rules(its)),
            "places": table(*_places(its)),
            "arms": table(*arms(its.get("arms", {}))),
            "less": table(*arms(its.get("less", {}), CHANCE)),
            "models": table(*every(record.get("models", {}))),
        }
    }


def _whose(its: Mapping[str, Any]) -> Rows:
    """Head and rows: right by where a thing stands and by its moved codes, by arm."""
    rows = [[arm, *row] for arm, found in its.items() for row in coded.whose(found)[1]]
    return ["taught", *coded.whose({})[0]], rows


def _rules(its: Mapping[str, Any]) -> Rows:
    """Head and rows: the map under every rule of the models taught on shuffled tokens, and how near the goals are."""
    rows = [
        [
            rule,
            *mapped(found),
            *mapped(found.get("change", {})),
            *(maybe(its["goals"].get(goal, {}).get(rule)) for goal in GOALS),
        ]
        for rule, found in its.get("rules", {}).items()
    ]
    return ["rule", *MAP.values(), *(f"{one}, change" for one in MAP.values()), *GOALS.values()], rows


def _places(its: Mapping[str, Any]) -> Rows:
    """Head and rows: right answers of these models about places under every rule, and what is kept of native's."""
    rows = [
        [rule, *rights(found), *(maybe(found[what].get("kept")) for what in CHANCE)]
        for rule, found in its.get("places", {}).items()
    ]
    return ["rule", *ASKED.values(), *(f"kept, {what}" for what in CHANCE)], rows


STUDY = Study("shuffled", blocks)
