"""The tables of docs/studies/fitted.md, from the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studies.fitted.places import CHANCE
from studies.study import Blocks, Study, table
from studies.text import bounded, share
from studies.words.page import by_wording, grid, rules_rows

_KEPT = ("right", "row")
_MAP = ("mean", "worst", "range")


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    of_words = {name: its["words"] for name, its in record.items()}
    of_pictures = {name: its["pictures"] for name, its in record.items()}
    third = {what: {name: its.get(what, {}) for name, its in record.items()} for what in ("controls", "larger")}
    return {
        "docs/studies/fitted.md": {
            "goals": table(*_goals(record)),
            **{what: table(*_third(found, what)) for what, found in third.items()},
            "places": table(*_places(record)),
            **{f"{name}, words": table(*rules_rows(its["all wordings"]["rules"])) for name, its in of_words.items()},
            **{f"{name}, wordings": table(*by_wording(_maps(its))) for name, its in of_words.items()},
            **{f"{name}, drawings": table(*rules_rows(its["together"]["rules"])) for name, its in of_pictures.items()},
            **{f"{name}, models": _models(its["models"]) for name, its in of_pictures.items()},
        }
    }


def _maps(words: Mapping[str, Any]) -> dict[str, Any]:
    return {name: its for name, its in words.items() if name not in ("beyond", "known")}


def _goals(record: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: of every rule the map, and what is kept in each form, on each bed."""
    rows = []
    for name, its in record.items():
        for what, found in (("words", its["words"]), ("drawings", its["pictures"]["together"])):
            for rule, figures in found.get("all wordings", found)["rules"].items():
                told = [*(bounded(figures[one]) for one in _MAP), _bounded(found["beyond"], rule)]
                rows.append([f"{name}, {what}", f"`{rule}`", *told, *_kept(found["known"], rule)])
    head = ["read", "rule", "mean AUC", "worst cell", "range", "range less a quarter of native's"]
    return [*head, "kept, right", "kept, row"], rows


def _third(found: Mapping[str, Any], what: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows of PLAN-3.md: the map, how far the range lies above what it is held against, what is kept."""
    rows = []
    for name, its in found.items():
        for rule, figures in its.get("rules", {}).items():
            held = [its[one] for one in ("above", "beyond") if one in its]
            told = [*(bounded(figures[one]) for one in _MAP), *(_bounded(one, rule) for one in held)]
            rows.append([name, f"`{rule}`", *told, *_kept(its["known"], rule)])
    above = ["range less that of `fitted on words`"] if what == "controls" else []
    head = ["read by", "rule", "mean AUC", "worst cell", "range", *above, "range less a quarter of native's"]
    return [*head, "kept, right", "kept, row"], rows


def _places(record: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: right answers about places asked in words, and what is kept of them."""
    rows = [
        [name, f"`{rule}`", *(_right(asked[what]) for what in CHANCE)]
        for name, its in record.items()
        for rule, asked in its.get("places", {}).items()
    ]
    return ["read by", "rule", *(f"{what} (chance {share(chance)})" for what, chance in CHANCE.items())], rows


def _right(its: Mapping[str, Any]) -> str:
    kept = f"; kept {bounded(its['kept'])}" if "kept" in its else ""
    return f"{bounded(its['right'])}{kept}"


def _bounded(told: Mapping[str, Any], rule: str) -> str:
    return bounded(told[rule]) if rule in told else ""


def _kept(known: Mapping[str, Any], rule: str) -> list[str]:
    """What is kept under ``rule``, of right and row, in each form in which native's lies above chance."""
    forms = [form.get(rule, {}) for form in known.values()]
    return [" and ".join(bounded(one[of]["kept"]) for one in forms if "kept" in one.get(of, {})) for of in _KEPT]


def _models(models: Mapping[str, Any]) -> str:
    rows = [
        [seed, f"`{rule}`", *(bounded(its[name]) for name in _MAP), grid(its["cells"])]
        for seed, found in models.items()
        for rule, its in found["rules"].items()
    ]
    return table(["projector", "rule", "mean AUC", "worst cell", "range", "AUC by cell, row by row"], rows)


STUDY = Study("fitted", blocks)
