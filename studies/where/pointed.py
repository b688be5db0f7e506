"""What a rule costs a model that writes where something stands: `studies.reference train --tasks point` makes one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bapa.checkpoints import Loaded
from bapa.measure import measure
from bapa.measure.pointing import pointing
from bapa.probe import Design, build
from bapa.stats import Settings
from studies.where.rules import LEADS, NAMED, TRIED

ITEMS, SEED, TOKENS = 40, 501, 12
STATISTICS = Settings(resamples=1000)


def pointed(model: Loaded, work: Path, folder: Path) -> dict[str, Any]:
    """For each rule how the model points, beside how even its matches are."""
    rules = list(dict.fromkeys([*LEADS, *NAMED, "anchored", *TRIED]))
    probes = {
        task: build("digits", work / f"pointed-{task}", Design(task=task, items=ITEMS, seed=SEED + number))
        for number, task in enumerate(("match", "point"))
    }
    match = measure(model, probes["match"], rules, folder / "match", audit=0, statistics=STATISTICS)
    point = measure(model, probes["point"], rules, folder / "point", generate=TOKENS, audit=0, statistics=STATISTICS)
    told = pointing(point, probes["point"], STATISTICS)
    names = ("auc", "auc_range", "auc_worst_cell")
    return {
        rule: {name: match.bias["schemes"][rule]["overall"][name] for name in names} | asdict(told[rule])
        for rule in rules
    }
