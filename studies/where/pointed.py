"""What a rule costs a model that writes where something stands: `studies.reference train --tasks point` makes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bapa.calibrate.kept import kept
from bapa.checkpoints import Loaded
from bapa.measure import Run, measure
from bapa.measure.pointing import pointing
from bapa.probe import Design, build
from bapa.stats import Settings
from bapa.stats.intervals import Estimate
from studies.where.rules import LEADS, NAMED, TRIED, one_at_a_time
from studies.where.sites import sizes

ITEMS, SEED, TOKENS = 40, 501, 12
MAPPED = 24, 621  # items, and their seed, of the maps of parts
STATISTICS = Settings(resamples=1000)
EVENNESS = ("auc", "auc_range", "auc_worst_cell")


def pointed(model: Loaded, work: Path, folder: Path) -> dict[str, Any]:
    """For each rule how the model points, beside how even its matches are."""
    rules = list(dict.fromkeys([*LEADS, *NAMED, "anchored", *TRIED]))
    return _told(model, work, folder, rules, ITEMS, SEED)


def maps(model: Loaded, work: Path, folder: Path) -> dict[str, Any]:
    """The same with the shared position in one part of the model at a time."""
    layers, waves, length, heads = sizes(model)
    parts = {"native": "native", **one_at_a_time(layers, len(waves), heads)}
    told = _told(model, work, folder, list(dict.fromkeys(parts.values())), *MAPPED)
    return {"parts": {part: told[rule] for part, rule in parts.items()}, "waves": (waves / length).tolist()}


def _told(
    model: Loaded, work: Path, folder: Path, rules: Sequence[str], items: int, seed: int
) -> dict[str, dict[str, Any]]:
    """By rule, of ``items`` matches and as many questions where something stands."""
    probes = {
        task: build("digits", work / f"pointed-{task}-{seed}", Design(task=task, items=items, seed=seed + number))
        for number, task in enumerate(("match", "point"))
    }
    match = measure(model, probes["match"], rules, folder / f"match-{seed}", audit=0, statistics=STATISTICS)
    point = measure(
        model, probes["point"], rules, folder / f"point-{seed}", generate=TOKENS, audit=0, statistics=STATISTICS
    )
    told = pointing(point, probes["point"], STATISTICS)
    return {
        rule: {name: match.bias["schemes"][rule]["overall"][name] for name in EVENNESS}
        | asdict(told[rule])
        | {"kept": _kept(point, rule, probes["point"].cells)}
        for rule in rules
    }


def _kept(run: Run, rule: str, cells: int) -> Estimate:
    """Boxes in the right cell, as a share of those natively."""
    answers = run.answers()
    answers["correct"] = answers["correct"].eq(True)
    native, under = (answers[answers["scheme"] == one] for one in ("native", rule))
    return kept(native, under, cells, STATISTICS)
