"""The tables of docs/studies/words.md, from the record: by tokens along a side and by wording, PLAN.md's endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bapa.calibrate.words.learn import RELATIONS
from studies.study import Blocks, Study, table
from studies.text import bounded, share
from studies.words.neighbours import FORMS
from studies.words.reading import REVERSED
from studies.words.sites import RELATIONS as SHOWN
from studies.words.sites import wavelength


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    small, large = (record.get(side, {}) for side in ("9", "24"))
    small_known, large_known = (record.get("neighbours", {}).get(side, {}) for side in ("9", "24"))
    listed, in_rows = (form for _, form in FORMS)
    return {
        "docs/studies/words.md": {
            "rules": table(*rules_rows(small.get("all wordings", {}).get("rules", {}))),
            "positions": table(*position_rows(small)),
            "wordings": table(*by_wording(small)),
            "rules, 576 tokens": table(*rules_rows(large.get("all wordings", {}).get("rules", {}))),
            "positions, 576 tokens": table(*position_rows(large)),
            "neighbours, list": table(*known_rows(small_known.get(listed, {}))),
            "neighbours, row by row": table(*known_rows(small_known.get(in_rows, {}))),
            "neighbours, 576 tokens": table(*known_rows(large_known.get(listed, {}))),
            "parts": table(*part_rows(record.get("sites", {}))),
            "picked layers": table(*part_rows(record.get("picked layers", {}))),
        }
    }


def rules_rows(rules: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table of rules: mean, worst cell and range, and their changes from native; where every rule
    tells them the cells too.
    """
    rows = []
    for rule, its in rules.items():
        change = its.get("change")
        changes = [bounded(change[name]) if change else "" for name in _FIGURES]
        cells = [grid(its["cells"])] if "cells" in its else []
        rows.append([f"`{rule}`", *(bounded(its[name]) for name in _FIGURES), *changes, *cells])
    head = ["rule", "mean AUC", "worst cell", "range", "mean, change", "worst, change", "range, change"]
    told = ["AUC by cell, row by row"] if all("cells" in its for its in rules.values()) else []
    return [*head, *told], rows


def position_rows(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of what the positions carry, by wording."""
    rows = [
        [
            name,
            bounded(its["rules"]["native"]["range"]),
            p_text(its["p uneven"]),
            share(its["turning part"]),
            p_text(its["p turning"]),
            *(bounded(its["position share"][rule]) if rule in its["position share"] else "" for rule in REVERSED),
        ]
        for name, its in found.items()
    ]
    head = ["wording", "range natively", "p", "turning part of the spread", "p", "position share, `reverse`"]
    return [*head, "with the order of tokens reversed too"], rows


def by_wording(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of mean AUC and range of every rule, wording by wording."""
    apart = [name for name in found if name != "all wordings"]
    rows = []
    for rule in found[apart[0]]["rules"] if apart else ():
        its = [found[name]["rules"][rule] for name in apart]
        rows.append([f"`{rule}`", *(f"{share(one['mean']['value'])}, {share(one['range']['value'])}" for one in its)])
    return ["mean AUC, range", *apart], rows


def grid(cells: Sequence[float]) -> str:
    """The AUC of nine cells, row by row."""
    written = [share(value) for value in cells]
    return " / ".join(" ".join(written[row : row + 3]) for row in (0, 3, 6))


def known_rows(rules: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table of what is known of neighbours, by rule."""
    rows = [
        [
            f"`{rule}`",
            *(bounded(its[name]["auc"]) for name in RELATIONS),
            *(bounded(its[name]["kept"]) if "kept" in its[name] else "" for name in _KEPT),
        ]
        for rule, its in rules.items()
    ]
    return ["rule", *_STANDS, *(f"kept, {name}" for name in _KEPT)], rows


def part_rows(parts: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: the shared position in one part at a time."""
    rows = [
        [
            part,
            f"{wave:.2f}" if (wave := wavelength(part)) else "",
            *(bounded(its[name]) for name in _FIGURES),
            *(bounded(its["change"][name]) if "change" in its else "" for name in _FIGURES),
            *(bounded(its[name]["kept"]) if "kept" in its[name] else "" for name in SHOWN),
        ]
        for part, its in parts.items()
    ]
    head = ["shared in", "wavelength / image", "mean AUC", "worst cell", "range"]
    return [*head, "mean, change", "worst, change", "range, change", *(f"kept, {name}" for name in SHOWN)], rows


def p_text(value: float) -> str:
    """A p-value as pages write it."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


_FIGURES = ("mean", "worst", "range")
_KEPT = ("right", "left", "row")  # of what is known natively
_STANDS = ("to the right", "to the left", "same row", "below", "above")

STUDY = Study("words", blocks)
