"""Slot bias of the trained models of several pictures: natively, and under each scope of the rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bapa.checkpoints import load
from bapa.measure import Run, measure
from bapa.probe import Design, build
from bapa.report import claims, words
from bapa.stats import Settings
from bapa.stats.bias import bias

MODELS = {"images-last": "images:8", "images-uniform": "images:8", "clip-last": "frames:8", "clip-uniform": "frames:8"}
# By kind: the rule with a position for each picture, then the same rule with one position for all of them.
PAIRS = {
    "images": (("bapa", "bapa:scope=global"), ("bapa:distance=native", "bapa:scope=global,distance=native")),
    "frames": (("bapa:scope=frame", "bapa"), ("bapa:scope=frame,distance=native", "bapa:distance=native")),
}
KEPT = ("auc_range", "auc", "range", "hit")
PART = 20  # items of a run that is drawn from a large one
SEED = 7  # of the probes, and of what is drawn


def trained(model: Path, slots: str, folder: Path, items: int, large: int, runs: int) -> dict[str, Any]:
    """What is to be recorded of a model: ``items`` asked under every rule; ``large`` others natively, of which ``runs``
    smaller runs are drawn.
    """
    loaded = load(str(model))
    pairs = PAIRS[slots.partition(":")[0]]
    probe = build("digits", folder / "probe", Design(slots=slots, items=items, seed=SEED))
    run = measure(loaded, probe, ["native", *(rule for pair in pairs for rule in pair)], folder / "run", audit=0)
    many = build("digits", folder / "large", Design(slots=slots, items=large, seed=SEED + 1))
    whole = measure(loaded, many, ["native"], folder / "whole", audit=0)
    return {
        "slots": slots,
        "items": items,
        "rules": {label: figures(run, label) for label in run.bias["schemes"]},
        "shared": {one: {"own": own, **difference(run, own, one)} for own, one in pairs},
        "sentence": words.findings(run.bias)[0],
        "parts": parts(whole, runs),
    }


def figures(run: Run, label: str) -> dict[str, Any]:
    """The figures of a rule, what its map is called, and its hit rate in each slot."""
    found = run.bias["schemes"][label]
    slots = [round(cell["hit"]["value"], 4) for cell in found["cells"]]
    kept = {name: found["overall"][name] for name in KEPT}
    return {**kept, "slots": slots, "reading": claims.reading(run.bias, label)}


def difference(run: Run, own: str, one: str) -> dict[str, Any]:
    """Each figure under ``one`` minus that under ``own``, from answers to the same questions."""
    answers = run.answers()
    both = answers[answers["scheme"].isin([own, one])]  # the first scheme is what others are compared with
    told = bias(both, rows=run.bias["probe"]["rows"], cols=run.bias["probe"]["cols"])
    rows = [row for row in told["comparisons"] if row["quantity"] in KEPT and "cell" not in row]
    return {row["quantity"]: {**row["difference"], "p": row["p"]} for row in rows if (row["a"], row["b"]) == (own, one)}


def parts(run: Run, count: int) -> dict[str, Any]:
    """How often the interval of a run of :data:`PART` items holds the range of all items of ``run``, of which it is
    drawn, and how often it is called uneven.
    """
    answers, probe = run.answers(), run.bias["probe"]
    whole = run.bias["schemes"]["native"]["overall"]["auc_range"]
    rng, holds, uneven = np.random.default_rng(SEED), 0, 0
    for seed in range(count):
        chosen = rng.choice(answers["item"].unique(), PART, replace=False)
        part = answers[answers["item"].isin(chosen)]
        told = {**run.bias, **bias(part, rows=probe["rows"], cols=probe["cols"], settings=Settings(seed=seed))}
        found = told["schemes"]["native"]["overall"]["auc_range"]
        holds += found["low"] - 1e-9 <= whole["value"] <= found["high"] + 1e-9
        uneven += claims.reading(told, "native") == "uneven"
    called = claims.reading(run.bias, "native")
    return {
        "items": answers["item"].nunique(),
        "whole": whole,
        "called": called,
        "runs": count,
        "holds": int(holds),
        "uneven": uneven,
    }
