"""The tables of docs/studies/finetuned.md, from the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studies.finetuned.ask import BALANCED, NATIVELY, PLACEMENTS, SWITCHED
from studies.study import Blocks, Study, table
from studies.text import bounded
from studies.words.page import grid, known_rows

_MAP = ("mean", "worst", "range")
_WHAT = {"mean": "mean AUC", "worst": "worst cell", "range": "range"}


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    together: dict[str, Any] = {data: record.get(data, {}).get("together", {}) for data in PLACEMENTS}
    told: dict[str, str] = {"endpoints": table(*_endpoints(together))}
    for data, its in together.items():
        told[f"{data}, maps"] = table(*_maps(its))
        told[f"{data}, neighbours"] = "".join(table(*known_rows(form)) for form in its.get("known", {}).values())
        told[f"{data}, models"] = _models(record.get(data, {}).get("models", {}))
    return {"docs/studies/finetuned.md": told}


def _endpoints(together: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: the differences that decide, over models."""
    rows = []
    for data, its in together.items():
        if not its:
            continue
        compared = {
            f"{BALANCED} less {NATIVELY}": its["from tuned natively"][BALANCED],
            f"{BALANCED} less the rule alone": its["rule alone"][BALANCED],
            f"{NATIVELY} less untuned": its["from untuned"][NATIVELY],
            f"{NATIVELY}: asked under bapa less natively": its["from tuned natively"][SWITCHED],
            f"{BALANCED} less {SWITCHED}": its["switched on"][BALANCED],
        }
        rows += [[data, what, *(bounded(one["change"][name]) for name in _MAP)] for what, one in compared.items()]
    return ["data", "what", *(_WHAT[name] for name in _MAP)], rows


def _maps(its: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: mean, worst cell, range and middle of every condition."""
    rows = [
        [name, *(bounded(found[one]) for one in _MAP), _middle(its, name, "above"), _middle(its, name, "change")]
        for name, found in its.get("from untuned", {}).items()
    ]
    return ["model", *(_WHAT[name] for name in _MAP), "middle", f"middle, less {NATIVELY}"], rows


def _middle(its: Mapping[str, Any], name: str, which: str) -> str:
    found = its["middle"].get(name, {})
    return bounded(found[which]) if which in found and not (which == "change" and name == NATIVELY) else ""


def _models(models: Mapping[str, Any]) -> str:
    rows = [
        [seed, name, *(bounded(its[one]) for one in _MAP), grid(its["cells"])]
        for seed, found in models.items()
        for name, its in found["from untuned"].items()
    ]
    return table(["projector", "model", *(_WHAT[one] for one in _MAP), "AUC by cell, row by row"], rows)


STUDY = Study("finetuned", blocks)
