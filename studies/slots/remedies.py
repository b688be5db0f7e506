"""What a shared position costs the sense of which image it is, what `bapa calibrate` picks for several pictures, and
where `bapa origin` says that their bias comes from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bapa.calibrate import calibrate
from bapa.checkpoints import load
from bapa.measure import Run, measure
from bapa.origin import Options, explain
from bapa.probe import Design, build
from bapa.probe.design import Task
from bapa.report import calibration, claims
from bapa.stats import Settings
from studies.slots.trained import KEPT, SEED, difference

WHICH = {  # by model: the rule it was trained under
    "which-last": "native",
    "which-uniform": "native",
    "which-uniform-own": "bapa",
    "which-uniform-shared": "bapa:scope=global",
}
OWN, SHARED = "bapa", "bapa:scope=global"
RULES = ("native", OWN, SHARED, f"{OWN}:distance=native", f"{SHARED},distance=native")
EXPLAINED = ("images-last", "images-uniform", "which-last")
CALIBRATED = {"images-last": "images:8", "clip-last": "frames:8"}
ITEMS, PICKING, JUDGES = 60, 32, 40
POOL = 160  # items, of which enough share no caption with those that pick


def which(model: Path, folder: Path) -> dict[str, Any]:
    """How often each rule lets a model name the right image of four, and find what is there, and how evenly; and what
    one position for all takes from each of these, against a position for each.
    """
    loaded = load(str(model))
    tasks: tuple[Task, Task] = ("where", "match")
    designs = [Design(slots="images:4", task=task, items=ITEMS, seed=SEED + 2) for task in tasks]
    told, found = (
        measure(loaded, build("digits", folder / f"{design.task}-probe", design), RULES, folder / design.task, audit=0)
        for design in designs
    )
    pairs = ((OWN, SHARED), (f"{OWN}:distance=native", f"{SHARED},distance=native"))
    return {
        "items": ITEMS,
        "rules": {
            rule: {
                "named": told.bias["schemes"][rule]["overall"]["hit"],
                "slots": [round(cell["hit"]["value"], 4) for cell in told.bias["schemes"][rule]["cells"]],
                **{key: found.bias["schemes"][rule]["overall"][key] for key in ("auc", "auc_range")},
                "reading": claims.reading(found.bias, rule),
            }
            for rule in RULES
        },
        "shared": {one: {"own": own, **_lost(told, found, own, one)} for own, one in pairs},
    }


def _lost(told: Run, found: Run, own: str, one: str) -> dict[str, Any]:
    """Right images, range of the AUC and mean AUC under ``one`` minus those under ``own``."""
    matched = difference(found, own, one)
    return {"named": difference(told, own, one)["hit"], **{key: matched[key] for key in ("auc_range", "auc")}}


def calibrated(model: Path, slots: str, folder: Path) -> dict[str, Any]:
    """What `bapa calibrate` picks, and what the items that judge say of it."""
    probe = build("digits", folder / "probe", Design(slots=slots, items=POOL, seed=SEED + 3))
    settings = Settings(resamples=1000)
    found = calibrate(
        load(str(model)), probe, folder / "model", items=PICKING, held_out=JUDGES, statistics=settings
    ).found
    return {
        "chosen": found["chosen"],
        "rules": {rule: {key: its[key] for key in KEPT} for rule, its in found["held_out"].items()},
        "says": found["against_native"]["says"],
        "sentences": list(calibration.sentences(found)),
    }


def explained(model: Path, folder: Path) -> dict[str, Any]:
    """What `bapa origin` says of the bias between eight images."""
    probe = build("digits", folder / "probe", Design(slots="images:8", items=ITEMS, seed=SEED + 4))
    found = explain(load(str(model)), probe, folder / "run", Options(parts=())).found
    return {"items": ITEMS, "shares": found["attribution"]["hit"], "verdict": found["verdict"]["sentence"]}
