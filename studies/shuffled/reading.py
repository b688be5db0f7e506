"""From the answers of models that were taught further to the endpoints of PLAN.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from studies.aligned.reading import together
from studies.coded.ask import CHANCE, Tables
from studies.coded.reading import whose
from studies.fitted import places
from studies.fitted.reading import beyond
from studies.shuffled.ask import FURTHER, LABELS, SHUFFLED, UNDER
from studies.taught.reading import GOALS, gained
from studies.words import reading

BEFORE = "before"  # the models that this teaching starts from
Asked = tuple[str, str]  # a model, by its arm, and a rule
COMPARED: Sequence[tuple[Asked, Asked]] = (
    ((UNDER, "bapa"), (FURTHER, "native")),
    ((UNDER, "bapa"), (BEFORE, "native")),
    ((UNDER, "bapa"), (BEFORE, "bapa")),
    ((FURTHER, "bapa"), (FURTHER, "native")),
    ((SHUFFLED, "native"), (FURTHER, "native")),
    ((SHUFFLED, "native"), (BEFORE, "native")),
    ((SHUFFLED, "bapa"), (BEFORE, "bapa")),
)
Before = tuple[pd.DataFrame, pd.DataFrame]  # of these models: shares of names, right answers about places


def record(before: Before, new: Tables) -> dict[str, Any]:
    """By model and over models the endpoints."""
    shares, placed = (
        pd.concat([its, old[old["rule"].isin(its["rule"])].assign(arm=BEFORE)], ignore_index=True)
        for its, old in zip(new[:2], before, strict=True)
    )
    models = {}
    for seed in sorted(new[0]["seed"].unique()):
        its = [table[table["seed"] == seed] for table in (shares, placed, new[2])]
        models[str(seed)] = figures(its[0], its[1], its[2])
    return {"models": models, "together": together(models)}


def figures(shares: pd.DataFrame, placed: pd.DataFrame, moved: pd.DataFrame) -> dict[str, Any]:
    """The endpoints of one model; of arms and rules that were asked."""
    maps = {asked: reading.averaged(rows) for asked, rows in shares.groupby(["arm", "rule"])}
    where = placed.rename(columns={"arm": "model", "rule": "scheme", "picture": "grid"})
    rules = {rule: maps[SHUFFLED, rule] for rule in LABELS if (SHUFFLED, rule) in maps}
    its = reading.figures(rules)
    less = {}
    for mine, other in COMPARED:
        if mine in maps and other in maps:
            both = reading.figures({"native": maps[other], "mine": maps[mine]})["rules"]["mine"]["change"]
            less[f"{called(mine)}, less {called(other)}"] = {**both, **gained(where, other, mine, CHANCE)}
    return {
        "rules": its["rules"],
        "p uneven": its["p uneven"],
        "goals": {name: beyond(rules, part=part, rules=tuple(LABELS)[1:]) for name, part in GOALS.items()},
        "places": places.figures(where[where["model"] == SHUFFLED], CHANCE),
        "whose": {str(arm): whose(rows) for arm, rows in moved.groupby("arm")},
        "arms": {called(asked): {**_map(maps[asked]), **_right(where, asked)} for asked in maps},
        "less": less,
    }


def called(asked: Asked) -> str:
    """What a model under a rule is called on the page."""
    return f"{asked[0]}, {asked[1]}"


def _map(shares: reading.Array) -> dict[str, Any]:
    its = reading.figures({"native": shares})["rules"]["native"]
    return {name: its[name] for name in ("mean", "worst", "range", "cells")}


def _right(where: pd.DataFrame, asked: Asked) -> dict[str, Any]:
    """Right answers of one model under one rule, whichever it is."""
    its = where[(where["model"] == asked[0]) & (where["scheme"] == asked[1])]
    found = places.figures(its.assign(scheme="native"), CHANCE)["native"]
    return {what: one["right"] for what, one in found.items()}
