"""Every rule in one table, on a model that is uneven and knows rows: evenness, accuracy, rows, and cost in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bapa.attach import balanced
from bapa.checkpoints import Loaded
from bapa.errors import SchemeError
from studies.where.asking import asked, change, of_rule, probes, times
from studies.where.rules import WHOLE

ITEMS, SEED, ROUNDS = 32, 601, 9


def together(model: Loaded, work: Path, folder: Path) -> dict[str, Any]:
    """Each rule that the model takes, on fresh items; those that it does not take, with what they are refused for."""
    rules, refused = taken(model)
    runs = asked(model, probes(work, ITEMS, SEED, ("where",)), rules, folder / "together")
    spent = times(model, probes(work, ITEMS, SEED, ())["match"], rules, ROUNDS)
    names = ("auc", "auc_range", "auc_worst_cell", "hit", "false_alarm")
    told = {}
    for rule in rules:
        overall = runs["match"].bias["schemes"][rule]["overall"]
        its = change(runs["match"], rule).get("auc_range") if rule != "native" else None
        told[rule] = {
            **{name: overall[name] for name in names},
            "rows": runs["where"].bias["schemes"][rule]["overall"]["hit"],
            "kept": of_rule(rule, runs).kept["where"],
            "p": its["p"] if its else None,
            "time": {"value": float(np.median(spent[rule])), "low": min(spent[rule]), "high": max(spent[rule])},
        }
    return {"items": ITEMS, "rounds": ROUNDS, "rules": told, "refused": refused}


def taken(model: Loaded) -> tuple[list[str], dict[str, str]]:
    """The rules of :data:`~studies.where.rules.WHOLE` that ``model`` takes, and why it refuses the others."""
    rules, refused = [], {}
    for rule in WHOLE:
        try:
            with balanced(model.model, rule):
                rules.append(rule)
        except SchemeError as error:
            refused[rule] = str(error)
    return rules, refused
