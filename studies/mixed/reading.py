"""From the answers of models tuned on names and places to the endpoints of PLAN.md and PLAN-2.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from studies.aligned.reading import fixed, together
from studies.coded.arms import Asked, Maps, beside, called, each, kept, less
from studies.coded.ask import NATIVELY, UNDER
from studies.coded.page import MAP
from studies.finetuned.ask import NATIVELY as NATIVELY_TUNED
from studies.finetuned.reading import middle
from studies.fitted.reading import beyond
from studies.mixed.ask import ARMS, NATIVELY_CENTRAL, UNDER_CENTRAL
from studies.taught.reading import GOALS

BEFORE = "before"  # the models that this tuning starts from
PLACES = {NATIVELY: f"places alone, {NATIVELY}", UNDER: f"places alone, {UNDER}"}  # those tuned on places alone
ALIKE: tuple[Asked, Asked] = ((UNDER, "bapa"), (NATIVELY, "native"))
CENTRAL: tuple[Asked, Asked] = ((UNDER_CENTRAL, "bapa"), (NATIVELY_CENTRAL, "native"))
COMPARED: Sequence[tuple[Asked, Asked]] = (
    ALIKE,
    ((NATIVELY, "bapa"), (NATIVELY, "native")),
    ((UNDER, "bapa"), (NATIVELY, "bapa")),
    ((UNDER, "bapa"), (PLACES[UNDER], "bapa")),
    ((NATIVELY, "native"), (PLACES[NATIVELY], "native")),
    ((NATIVELY, "native"), (BEFORE, "native")),
    ((UNDER, "bapa"), (BEFORE, "native")),
    ((UNDER, "bapa"), (BEFORE, "bapa")),
    CENTRAL,
    ((NATIVELY_CENTRAL, "bapa"), (NATIVELY_CENTRAL, "native")),
    ((UNDER_CENTRAL, "bapa"), (NATIVELY_CENTRAL, "bapa")),
    ((NATIVELY_CENTRAL, "native"), (NATIVELY, "native")),
    ((UNDER_CENTRAL, "bapa"), (UNDER, "bapa")),
    ((NATIVELY_CENTRAL, "native"), (BEFORE, "native")),
    ((UNDER_CENTRAL, "bapa"), (BEFORE, "native")),
    ((NATIVELY_CENTRAL, "cross"), (NATIVELY_CENTRAL, "native")),
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
    return {"models": models, "together": {**together(models), "more": more(models)}}


def figures(shares: pd.DataFrame, placed: pd.DataFrame) -> dict[str, Any]:
    """The endpoints of one model; of arms and rules that were asked."""
    maps, where = beside(shares, placed)
    asked = {asked: called(asked) for asked in maps if asked[0] in ARMS}
    pairs = {pair: f"{called(pair[0])}, less {called(pair[1])}" for pair in COMPARED if maps.keys() >= set(pair)}
    return {
        "arms": each(maps, where),
        "less": {pairs[pair]: its for pair, its in less(maps, where, tuple(pairs))},
        "middle": {called(one): middle({NATIVELY_TUNED: its})[NATIVELY_TUNED]["above"] for one, its in maps.items()},
        "middle less": {
            name: middle({NATIVELY_TUNED: maps[other], name: maps[mine]})[name]["change"]
            for (mine, other), name in pairs.items()
        },
        "kept": {
            f"{called(mine)}, of {called(other)}": kept(where, mine, other)
            for other in ((BEFORE, "native"), (NATIVELY, "native"), (NATIVELY_CENTRAL, "native"))
            for mine in asked
            if mine != other
        },
        "goals": {name: _beyond(maps, asked, part) for name, part in GOALS.items()},
        "switched on": _switched(maps),
    }


def more(models: Mapping[str, Any]) -> dict[str, Any]:
    """How much more the rule does where the data are central than where they are not: differences of differences, with
    t-intervals over models.
    """
    central, alike = (f"{called(mine)}, less {called(other)}" for mine, other in (CENTRAL, ALIKE))
    found = {
        seed: {part: fixed(its["less"][central][part]["value"] - its["less"][alike][part]["value"]) for part in MAP}
        for seed, its in models.items()
        if central in its["less"]
    }
    return together(found)


def _beyond(maps: Maps, asked: Mapping[Asked, str], part: float) -> dict[str, dict[str, float]]:
    """How far the ranges lie above a ``part`` of that of the models before, natively."""
    its = {"native": maps[BEFORE, "native"], **{name: maps[asked] for asked, name in asked.items()}}
    return beyond(its, part=part, rules=tuple(asked.values()))


def _switched(maps: Maps) -> dict[str, dict[str, float]]:
    """How far the ranges under rules switched on after central native tuning lie above half of that natively."""
    its = {rule: shares for (arm, rule), shares in maps.items() if arm == NATIVELY_CENTRAL}
    return beyond(its, part=GOALS["half"], rules=tuple(its))
