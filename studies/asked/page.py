"""The tables of docs/studies/asked.md, from the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studies.asked.reading import order
from studies.coded.page import MAP, Rows, mapped, maybe, teaching
from studies.study import Blocks, Study, table
from studies.words.page import grid, p_text

_SAID = ("hits", "range of hits", "false alarms")
_CHANGES = [f"{one}, change" for one in MAP.values()]


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    its = record.get("together", {})
    return {
        "docs/studies/asked.md": {
            "teaching": table(*teaching(record.get("teaching", {}))),
            "arms": table(*_arms(its)),
            "less": table(*_less(its)),
            "criteria": table(*_criteria(record)),
            "models": table(*_models(record.get("models", {}))),
        }
    }


def _arms(its: Mapping[str, Any]) -> Rows:
    """Head and rows: the map of every arm under every rule, its change, hits and false alarms."""
    rows = []
    for arm, found in its.get("arms", {}).items():
        for rule, one in found["rules"].items():
            name = f"{arm}, {rule}"
            told = its["said"][name]
            rows.append(
                [
                    *(arm, rule, *mapped(one), *mapped(one.get("change", {}))),
                    *(maybe(told[what]) for what in _SAID),
                    maybe(its["middle"][name]),
                ]
            )
    return ["arm", "asked under", *MAP.values(), *_CHANGES, *_SAID, "middle less the mean"], rows


def _less(its: Mapping[str, Any]) -> Rows:
    """Head and rows: how arms differ."""
    rows = [[name, *mapped(one), maybe(its["middle less"][name])] for name, one in its.get("less", {}).items()]
    return ["what is compared", *MAP.values(), "middle"], rows


def _criteria(record: Mapping[str, Any]) -> Rows:
    """Head and rows: by arm, whether it is uneven, whether maps agree, and what positions carry."""
    rows = []
    for arm, agreed in record.get("agreement", {}).items():
        each = [its["arms"][arm] for its in record["models"].values() if arm in its["arms"]]
        over = record["together"]["arms"][arm]
        carried = maybe(over.get("position share", {}).get("reverse"))
        uneven = " / ".join(p_text(its["p uneven"]) for its in each)
        whole = record["pooled"][arm]
        agree = f"{agreed['mean']:.2f} ({agreed['null95']:.2f})"
        rows.append([arm, uneven, p_text(whole["p"]), maybe(whole["range"]), agree, carried])
    return ["arm", "p of each", "p of all", "range of all", "agreement (95 % of chance)", "position share"], rows


def _models(models: Mapping[str, Any]) -> Rows:
    """Head and rows: every projector, arm and rule."""
    rows = [
        [seed, name, *mapped(found["arms"][arm]["rules"][rule]), grid(found["arms"][arm]["rules"][rule]["cells"])]
        for seed, found in models.items()
        for name in sorted(found["said"], key=order)
        for arm, _, rule in [name.rpartition(", ")]
    ]
    return ["projector", "arm, asked under", *MAP.values(), "AUC by cell, row by row"], rows


STUDY = Study("asked", blocks)
