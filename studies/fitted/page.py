"""The tables of docs/studies/fitted.md, from the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studies.fitted.ask import FITTED
from studies.study import Blocks, Study, table
from studies.text import bounded
from studies.words.page import by_wording, grid, rules_rows

_KEPT = ("right", "row")
_MAP = ("mean", "worst", "range")


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    of_words = {name: its["words"] for name, its in record.items()}
    of_pictures = {name: its["pictures"] for name, its in record.items()}
    return {
        "docs/studies/fitted.md": {
            "goals": table(*_goals(record)),
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
                known = [form.get(rule, {}) for form in found["known"].values()]
                kept = [
                    " and ".join(bounded(one[relation]["kept"]) for one in known if "kept" in one.get(relation, {}))
                    for relation in _KEPT
                ]
                beyond = bounded(found["beyond"][rule]) if rule in FITTED.values() else ""
                rows.append([f"{name}, {what}", f"`{rule}`", *(bounded(figures[one]) for one in _MAP), beyond, *kept])
    head = ["read", "rule", "mean AUC", "worst cell", "range", "range less a quarter of native's"]
    return [*head, "kept, right", "kept, row"], rows


def _models(models: Mapping[str, Any]) -> str:
    rows = [
        [seed, f"`{rule}`", *(bounded(its[name]) for name in _MAP), grid(its["cells"])]
        for seed, found in models.items()
        for rule, its in found["rules"].items()
    ]
    return table(["projector", "rule", "mean AUC", "worst cell", "range", "AUC by cell, row by row"], rows)


STUDY = Study("fitted", blocks)
