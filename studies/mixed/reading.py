"""From the answers of models tuned on names and places to the endpoints of PLAN.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from studies.aligned.reading import together
from studies.coded.arms import Asked, Maps, beside, called, each, kept, less
from studies.coded.ask import NATIVELY, UNDER
from studies.fitted.reading import beyond
from studies.taught.reading import GOALS

BEFORE = "before"  # the models that this tuning starts from
PLACES = {NATIVELY: f"places alone, {NATIVELY}", UNDER: f"places alone, {UNDER}"}  # those tuned on places alone
COMPARED: Sequence[tuple[Asked, Asked]] = (
    ((UNDER, "bapa"), (NATIVELY, "native")),
    ((NATIVELY, "bapa"), (NATIVELY, "native")),
    ((UNDER, "bapa"), (NATIVELY, "bapa")),
    ((UNDER, "bapa"), (PLACES[UNDER], "bapa")),
    ((NATIVELY, "native"), (PLACES[NATIVELY], "native")),
    ((NATIVELY, "native"), (BEFORE, "native")),
    ((UNDER, "bapa"), (BEFORE, "native")),
    ((UNDER, "bapa"), (BEFORE, "bapa")),
)
Answers = tuple[pd.DataFrame, pd.DataFrame]  # shares of names, right answers about places


def record(others: Mapping[str, Answers], new: Answers) -> dict[str, Any]:
    """By model and over models the endpoints. ``others``: by arm, answers of models of other studies."""
    shares, placed = (
        pd.concat([its, *(tables[n].assign(arm=arm) for arm, tables in others.items())], ignore_index=True)
        for n, its in enumerate(new)
    )
    models = {
        str(seed): figures(shares[shares["seed"] == seed], placed[placed["seed"] == seed])
        for seed in sorted(new[0]["seed"].unique())
    }
    return {"models": models, "together": together(models)}


def figures(shares: pd.DataFrame, placed: pd.DataFrame) -> dict[str, Any]:
    """The endpoints of one model; of arms and rules that were asked."""
    maps, where = beside(shares, placed)
    asked = {asked: called(asked) for asked in maps if asked[0] in (NATIVELY, UNDER)}
    return {
        "arms": each(maps, where),
        "less": {f"{called(mine)}, less {called(other)}": its for (mine, other), its in less(maps, where, COMPARED)},
        "kept": {
            f"{called(mine)}, of {called(other)}": kept(where, mine, other)
            for other in ((BEFORE, "native"), (NATIVELY, "native"))
            for mine in asked
            if mine != other
        },
        "goals": {name: _beyond(maps, asked, part) for name, part in GOALS.items()},
    }


def _beyond(maps: Maps, asked: Mapping[Asked, str], part: float) -> dict[str, dict[str, float]]:
    """How far the ranges lie above a ``part`` of that of the models before, natively."""
    its = {"native": maps[BEFORE, "native"], **{name: maps[asked] for asked, name in asked.items()}}
    return beyond(its, part=part, rules=tuple(asked.values()))
