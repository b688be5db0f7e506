"""The tables of docs/studies/coded.md, from the record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from studies.coded.ask import CHANCE
from studies.coded.reading import SPARED, WHOSE
from studies.study import Blocks, Study, table
from studies.text import bounded, share
from studies.words.page import grid

MAP = {"mean": "mean AUC", "worst": "worst cell", "range": "range"}
ASKED = {what: f"{what} (chance {share(chance)})" for what, chance in CHANCE.items()}
Rows = tuple[list[str], list[list[str]]]


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    its = record.get("together", {})
    return {
        "docs/studies/coded.md": {
            "teaching": table(*teaching(record.get("teaching", {}))),
            "codes": table(*_codes(its)),
            "rules": table(*_rules(its)),
            "places": table(*_places(its)),
            "fits": table(*arms(its.get("fits", {}), CHANCE, "rule")),
            "whose": table(*whose(its.get("whose", {}))),
            "models": table(*_models(record.get("models", {}))),
        }
    }


def _codes(its: Mapping[str, Any]) -> Rows:
    """Head and rows: names and places natively, without codes and with them."""
    head = ["image tokens", *MAP.values(), *ASKED.values()]
    if not its:
        return head, []
    codes, native = its["codes"], its["rules"]["native"]
    rows = [
        ["without codes", *mapped(codes["without codes"]), *rights(codes["places"])],
        ["with codes", *mapped(native), *rights(its["places"]["native"])],
        ["difference", *mapped(codes["change"]), *(maybe(codes["change"].get(what)) for what in CHANCE)],
    ]
    return head, rows


def _rules(its: Mapping[str, Any]) -> Rows:
    """Head and rows: the map under every rule, its change, and how far the range lies above the goals."""
    rows = []
    for rule, found in its.get("rules", {}).items():
        goals = [maybe(goal.get(rule)) for goal in its["goals"].values()]
        rows.append([rule, *mapped(found), *mapped(found.get("change", {})), *goals])
    if its.get("control"):
        rows.append(["cross, less cross of reverse", "", "", "", *mapped(its["control"]), "", ""])
    changes = [f"{one}, change" for one in MAP.values()]
    return ["rule", *MAP.values(), *changes, "range less a quarter of native's", "range less a half of native's"], rows


def _places(its: Mapping[str, Any]) -> Rows:
    """Head and rows: right answers about places under every rule, what is kept of native's, and how much more of it
    than without codes.
    """
    rows = [
        [
            rule,
            *rights(found),
            *(maybe(found[what].get("kept")) for what in CHANCE),
            *(maybe(its["spared"].get(rule, {}).get(what)) for what in SPARED),
        ]
        for rule, found in its.get("places", {}).items()
    ]
    kept = [f"kept, {what}" for what in CHANCE]
    more = [f"kept, {what}, more than without codes" for what in SPARED]
    return ["rule", *ASKED.values(), *kept, *more], rows


def whose(its: Mapping[str, Any]) -> Rows:
    """Head and rows: right by where a thing stands and by the codes of its tokens, once these are moved."""
    rows = [
        [rule, what, *(bounded(found[what][of]) for of in ("stands", "coded", "codes ahead"))]
        for rule, found in its.items()
        for what in WHOSE
    ]
    return ["rule", "asked", "right by where it stands", "right by its codes", "difference"], rows


def _models(models: Mapping[str, Any]) -> Rows:
    """Head and rows: every model under every rule."""
    rows = []
    for seed, found in models.items():
        for rule, its in found["rules"].items():
            right = [share(found["places"][rule][what]["right"]["value"]) for what in CHANCE]
            rows.append([seed, rule, *mapped(its), grid(its["cells"]), *right])
    return ["projector", "rule", *MAP.values(), "AUC by cell, row by row", *CHANCE], rows


def arms(its: Mapping[str, Any], heads: Iterable[str] = ASKED.values(), first: str = "taught, asked under") -> Rows:
    """Head and rows: names and places of every arm under every rule it was asked under, or how one differs from
    another. ``heads``: what is asked about places, as the table calls it; ``first``: what its rows tell.
    """
    rows = [[name, *mapped(found), *(bounded(found[what]) for what in CHANCE)] for name, found in its.items()]
    return [first, *MAP.values(), *heads], rows


def every(models: Mapping[str, Any]) -> Rows:
    """Head and rows: every projector, arm and rule."""
    rows = [
        [seed, name, *mapped(its), grid(its["cells"]), *(share(its[what]["value"]) for what in CHANCE)]
        for seed, found in models.items()
        for name, its in found["arms"].items()
    ]
    return ["projector", "taught, asked under", *MAP.values(), "AUC by cell, row by row", *CHANCE], rows


def teaching(curves: Mapping[str, Any]) -> Rows:
    """Head and rows: how much was right of what was tried after so many steps."""
    steps = sorted({one["step"] for tried in curves.values() for one in tried})
    rows = []
    for name, tried in curves.items():
        arm, _, seed = name.rpartition("-")
        right = {one["step"]: share(one["right"]) for one in tried}
        rows.append([arm, seed, *(right.get(step, "") for step in steps)])
    return ["taught", "projector", *(f"{step} steps" for step in steps)], rows


def mapped(its: Mapping[str, Any]) -> list[str]:
    """Mean, worst cell and range, empty where one is missing."""
    return [maybe(its.get(one)) for one in MAP]


def rights(its: Mapping[str, Any]) -> list[str]:
    """Right answers by what is asked, empty where it was not."""
    return [bounded(its[what]["right"]) if what in its else "" for what in CHANCE]


def maybe(found: Mapping[str, Any] | None) -> str:
    """A value with its bounds, empty where there is none."""
    return bounded(found) if found else ""


STUDY = Study("coded", blocks)
