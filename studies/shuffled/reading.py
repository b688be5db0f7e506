"""From the answers of models that were taught further to the endpoints of PLAN.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from studies.aligned.reading import together
from studies.coded.arms import Asked, beside, called, each, less
from studies.coded.ask import CHANCE, Tables
from studies.coded.reading import whose
from studies.fitted import places
from studies.fitted.reading import beyond
from studies.shuffled.ask import FURTHER, LABELS, SHUFFLED, UNDER
from studies.taught.reading import GOALS
from studies.words import reading

BEFORE = "before"  # the models that this teaching starts from
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
    maps, where = beside(shares, placed)
    rules = {rule: maps[SHUFFLED, rule] for rule in LABELS if (SHUFFLED, rule) in maps}
    its = reading.figures(rules)
    return {
        "rules": its["rules"],
        "p uneven": its["p uneven"],
        "goals": {name: beyond(rules, part=part, rules=tuple(LABELS)[1:]) for name, part in GOALS.items()},
        "places": places.figures(where[where["model"] == SHUFFLED], CHANCE),
        "whose": {str(arm): whose(rows) for arm, rows in moved.groupby("arm")},
        "arms": each(maps, where),
        "less": {f"{called(mine)}, less {called(other)}": its for (mine, other), its in less(maps, where, COMPARED)},
    }
