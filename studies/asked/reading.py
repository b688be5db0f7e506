"""From the margins of the models to the endpoints of PLAN.md: by model over pictures, then over models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from studies.aligned.reading import Array, fixed, together
from studies.asked.ask import ARMS, RULES
from studies.finetuned.ask import NATIVELY as BASE
from studies.finetuned.reading import middle
from studies.pretrained.figures import agreement
from studies.words import reading

Asked = tuple[str, str]  # a model, by its arm, and a rule
UNIFORM, SHUFFLED, PHOTO, UNDER = ARMS
COMPARED: Sequence[tuple[Asked, Asked]] = (
    ((UNIFORM, "native"), (SHUFFLED, "native")),
    ((PHOTO, "native"), (UNIFORM, "native")),
    ((UNDER, "bapa"), (UNIFORM, "native")),
    ((PHOTO, "bapa"), (PHOTO, "native")),
    ((UNIFORM, "bapa"), (UNIFORM, "native")),
)


def record(answers: pd.DataFrame) -> dict[str, Any]:
    """By model the endpoints over pictures, what all say together, and whether their maps agree."""
    models = {str(seed): figures(rows) for seed, rows in answers.groupby("seed")}
    agree = {}
    for arm in ARMS:
        maps = [its["arms"][arm]["rules"]["native"]["cells"] for its in models.values() if arm in its["arms"]]
        if len(maps) > 1:
            agree[arm] = agreement(maps)
    return {"models": models, "together": together(models), "agreement": agree, "pooled": pooled(answers)}


def pooled(answers: pd.DataFrame) -> dict[str, Any]:
    """By arm, natively, range and p of the pictures of all projectors in one map: added when the maps had been seen."""
    found = {}
    for arm, rows in answers[answers["rule"] == "native"].groupby("arm"):
        its = np.concatenate([shares(*table(one)) for _, one in rows.groupby("seed")])
        whole = reading.figures({"native": its})
        found[str(arm)] = {"range": whole["rules"]["native"]["range"], "p": whole["p uneven"]}
    return found


def figures(answers: pd.DataFrame) -> dict[str, Any]:
    """The endpoints of the models of one projector."""
    tables = {asked: table(rows) for asked, rows in answers.groupby(["arm", "rule"])}
    maps = {asked: shares(*its) for asked, its in tables.items()}
    found: dict[str, Any] = {"arms": {}, "said": {}, "middle": {}, "less": {}, "middle less": {}}
    for arm in ARMS:
        its = {rule: maps[arm, rule] for rule in ARMS[arm].rules if (arm, rule) in maps}
        if its:
            found["arms"][arm] = reading.figures(its)
    for asked, margins in tables.items():
        found["said"][called(asked)] = said(*margins)
        found["middle"][called(asked)] = middle({BASE: maps[asked]})[BASE]["above"]
    for mine, other in COMPARED:
        if mine in maps and other in maps:
            name = f"{called(mine)}, less {called(other)}"
            found["less"][name] = reading.figures({"native": maps[other], "mine": maps[mine]})["rules"]["mine"][
                "change"
            ]
            found["middle less"][name] = middle({BASE: maps[other], "mine": maps[mine]})["mine"]["change"]
    return found


def table(rows: pd.DataFrame) -> tuple[Array, Array]:
    """Margins about what is there and about what is not, (pictures, 9) each."""
    present, absent = (
        rows.pivot(index="picture", columns="cell", values=kind).to_numpy(float) for kind in ("present", "absent")
    )
    return present, absent


def shares(present: Array, absent: Array) -> Array:
    """Of each thing shown: the share of the absent things of its picture whose margin lies below, ties half."""
    mine, others = present[..., None], absent[:, None]
    found: Array = (mine > others).mean(-1) + 0.5 * (mine == others).mean(-1)
    return found


def said(present: Array, absent: Array) -> dict[str, Mapping[str, float]]:
    """Hits and false alarms at the model's own threshold."""
    hits = reading.figures({"native": (present > 0).astype(float)})["rules"]["native"]
    return {"hits": hits["mean"], "range of hits": hits["range"], "false alarms": fixed(float((absent > 0).mean()))}


def called(asked: Asked) -> str:
    """What a model under a rule is called on the page."""
    return f"{asked[0]}, {asked[1]}"


def order(name: str) -> tuple[int, int]:
    """The order of arms and rules on the page."""
    arm, _, rule = name.rpartition(", ")
    rules = [*RULES]
    return [*ARMS].index(arm), rules.index(rule) if rule in rules else len(rules)
