"""The tables of docs/studies/taught.md, from the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studies.fitted.places import CHANCE
from studies.study import Blocks, Study, table
from studies.taught import kept
from studies.text import bounded, share
from studies.words.page import grid

_MAP = ("mean", "worst", "range")
_WHAT = {"mean": "mean AUC", "worst": "worst cell", "range": "range"}
_ASKED = [f"{what} (chance {share(chance)})" for what, chance in CHANCE.items()]


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    its = record.get("together", {})
    return {
        "docs/studies/taught.md": {
            "teaching": table(*_teaching(its)),
            "rules": table(*_rules(its)),
            "places": table(*_places(its)),
            "fits": table(*_fits(its)),
            "sites": table(*_sites(record.get("sites", {}))),
            "picked": kept.picked(record.get("kept", {})),
            "judged": kept.judged(record.get("kept", {})),
            "models": table(*_models(record.get("models", {}))),
        }
    }


def _teaching(its: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: the map and the right answers before and after teaching, natively."""
    known = {"untaught": its.get("untaught"), "taught": its.get("places", {}).get("native")}
    rows = [
        [model, *(bounded(found[one]) for one in _MAP), *(bounded(known[model][what]["right"]) for what in CHANCE)]
        for model, found in its.get("teaching", {}).items()
    ]
    if rows:
        changes = its["teaching"]["taught"]["change"]
        learned = its["learned"]
        rows.append(
            ["difference", *(bounded(changes[one]) for one in _MAP), *(bounded(learned[what]) for what in CHANCE)]
        )
    return ["model", *(_WHAT[one] for one in _MAP), *_ASKED], rows


def _rules(its: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: the map under every rule, its change, and how far the range lies above the goals."""
    rows = []
    for rule, found in its.get("rules", {}).items():
        changed = [bounded(found["change"][one]) for one in _MAP] if "change" in found else [""] * len(_MAP)
        goals = [bounded(goal[rule]) if rule in goal else "" for goal in its["goals"].values()]
        rows.append([rule, *(bounded(found[one]) for one in _MAP), *changed, *goals])
    changes = [f"{_WHAT[one]}, change" for one in _MAP]
    goals = [f"range less a {part} of native's" for part in its.get("goals", {})]
    return ["rule", *(_WHAT[one] for one in _MAP), *changes, *goals], rows


def _places(its: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: right answers about places under every rule, and what is kept of native's."""
    rows = [
        [rule, *(bounded(found[what]["right"]) for what in CHANCE), *(_kept(found[what]) for what in CHANCE)]
        for rule, found in its.get("places", {}).items()
    ]
    return ["rule", *_ASKED, *(f"kept, {what}" for what in CHANCE)], rows


def _fits(its: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: rules fitted in one way less those fitted in another."""
    shown = {**_WHAT, "row": "row", "column": "column"}
    rows = [[less, *(bounded(found[one]) for one in shown)] for less, found in its.get("fits", {}).items()]
    return ["rules", *shown.values()], rows


def _sites(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: the shared position in one part at a time; ranges of each model too."""
    models = found.get("models", {})
    rows = [
        [
            part,
            *(bounded(its[one]) for one in _MAP),
            bounded(its["change"]["range"]) if "change" in its else "",
            *(share(each[part]["range"]["value"]) for each in models.values()),
            bounded(its["right"]),
            _kept(its),
        ]
        for part, its in found.get("together", {}).items()
    ]
    seeds = [f"range, projector {seed}" for seed in models]
    return ["shared in", *(_WHAT[one] for one in _MAP), "range, change", *seeds, _ASKED[0], "rows kept"], rows


def _kept(its: Mapping[str, Any]) -> str:
    return bounded(its["kept"]) if "kept" in its else ""


def _models(models: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: every model under every rule."""
    rows = [
        [
            seed,
            rule,
            *(bounded(its[one]) for one in _MAP),
            grid(its["cells"]),
            *(share(found["places"][rule][what]["right"]["value"]) for what in CHANCE),
        ]
        for seed, found in models.items()
        for rule, its in found["rules"].items()
    ]
    return ["projector", "rule", *(_WHAT[one] for one in _MAP), "AUC by cell, row by row", *CHANCE], rows


STUDY = Study("taught", blocks)
