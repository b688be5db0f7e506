"""What ``bapa origin`` says of the models, and how evenly their attention is spread: PLAN-2.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bapa.origin import load_origin
from bapa.origin.flow import SOURCES
from studies.aligned.ask import SEEDS
from studies.aligned.reading import fixed, together

FACTORS = {"position": "position", "order": "order", "encoder": "encoder's cell", "remainder": "not additive"}
RULES = ("native", "bapa")
CHANGE = "bapa less native"
THIRDS = ("all layers", "first third", "last third")


def causes(work: Path) -> dict[str, Any]:
    """By model and over models, of the runs that lie in ``work`` as ``origin-1``, ``attention-1`` and so on; nothing
    where one lacks.
    """
    folders = {str(seed): (work / f"origin-{seed}", work / f"attention-{seed}") for seed in SEEDS}
    if not all((folder / "origin.json").is_file() for both in folders.values() for folder in both):
        return {}
    models = {seed: one(*(load_origin(folder).found for folder in both)) for seed, both in folders.items()}
    return {"models": models, "together": together(models)}


def one(found: Mapping[str, Any], watched: Mapping[str, Any]) -> dict[str, Any]:
    """Of one model: the cause and the shares of the quantity on which the verdict rests, as ``found`` about names; the
    balance of attention, as ``watched`` in questions with yes and no, in which alone it is followed.
    """
    verdict = found["verdict"]
    shares = found["attribution"][verdict["quantity"]]
    return {
        "sentence": verdict["sentence"],
        "quantity": verdict["quantity"],
        "items": found["options"]["items"],
        "shares": {factor: shares[factor] for factor in FACTORS},
        "attention": attention({rule: watched["flow"]["schemes"][rule]["balance"] for rule in RULES}),
    }


def attention(balance: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """By rule, and as a change, the mean over heads of the balance of the answer's attention, in some of the layers.
    ``balance``: by rule (layers, heads, sources).
    """
    layers = {rule: np.asarray(its)[:, :, SOURCES.index("answer")].mean(1) for rule, its in balance.items()}
    layers[CHANGE] = layers["bapa"] - layers["native"]
    third = len(layers[CHANGE]) // 3
    parts = dict(zip(THIRDS, (slice(None), slice(third), slice(-third, None)), strict=True))
    return {
        rule: {name: fixed(float(its[part].mean())) for name, part in parts.items()} for rule, its in layers.items()
    }
