"""The tables of docs/studies/aligned.md, from the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studies.aligned.causes import CHANGE, FACTORS, RULES, THIRDS
from studies.study import Blocks, Study, table
from studies.text import bounded, share
from studies.words.neighbours import FORMS
from studies.words.page import grid, known_rows, p_text, rules_rows

_CARRIED = ("encoder", "language model")
_NEAR = dict(zip((form for _, form in FORMS), ("neighbours", "neighbours, row by row"), strict=True))


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    return {"docs/studies/aligned.md": {**tables(record), **_origin(record.get("origin", {}))}}


def tables(record: Mapping[str, Any]) -> dict[str, str]:
    """Of a record of models that differ by their projectors, each table by its name."""
    models, together = record.get("models", {}), record.get("together", {})
    asked = [form for form in _NEAR if any(form in its["known"] for its in models.values())]
    near = {_NEAR[form]: table(*known_rows(together.get("known", {}).get(form, {}))) for form in asked}
    return {
        "together": table(*rules_rows(together.get("rules", {}))),
        "carried": _carried(models, together),
        **near,
        "models": _models(models),
    }


def _carried(models: Mapping[str, Any], together: Mapping[str, Any]) -> str:
    rows = []
    for name, its in [*((f"projector {seed}", its) for seed, its in models.items()), ("all three (t)", together)]:
        if its:
            rows.append(
                [
                    name,
                    bounded(its["rules"]["native"]["range"]),
                    p_text(its["p uneven"]) if "p uneven" in its else "",
                    *(bounded(its["carried"][part]) for part in _CARRIED),
                    share(its["turning part"]) if "turning part" in its else "",
                    *(bounded(figure) for figure in its["position share"].values()),
                ]
            )
    head = ["model", "range natively", "p", "encoder's cell", "language model's cell", "turning part"]
    return table([*head, "position share, `reverse`", "with the order of tokens reversed too"], rows)


def _origin(found: Mapping[str, Any]) -> dict[str, str]:
    """What `bapa origin` says, and how evenly attention is spread; of each model and of all."""
    models, over = found.get("models", {}), found.get("together", {})
    said, spread = [], []
    for name, its in [*((f"projector {seed}", its) for seed, its in models.items()), ("all three (t)", over)]:
        if its:
            said.append([name, *(_told(its["shares"][factor]) for factor in FACTORS)])
            told = bounded if its is over else _alone
            attention = its["attention"]
            spread += [[name, part, *(told(attention[rule][part]) for rule in (*RULES, CHANGE))] for part in THIRDS]
    return {
        "origin": table(["model", *FACTORS.values()], said),
        "attention": table(["model", "layers", *(f"`{rule}`" for rule in RULES), CHANGE], spread),
    }


def _told(figure: Mapping[str, Any]) -> str:
    """With its interval, where it has one: that of one model may be unbounded."""
    return share(figure["value"]) if figure["low"] is None else bounded(figure)


def _alone(figure: Mapping[str, float]) -> str:
    return share(figure["value"])


def _models(models: Mapping[str, Any]) -> str:
    rows = [
        [f"{seed}", f"`{rule}`", *(bounded(its[name]) for name in ("mean", "worst", "range")), grid(its["cells"])]
        for seed, found in models.items()
        for rule, its in found["rules"].items()
    ]
    return table(["projector", "rule", "mean AUC", "worst cell", "range", "AUC by cell, row by row"], rows)


STUDY = Study("aligned", blocks)
