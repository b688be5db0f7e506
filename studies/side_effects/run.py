"""Asks models that know rows, reading order and numbers about them under every rule; every step resumes.

The models are those of ``python -m studies.reference train --tasks places``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a model this small only waits for more threads

import typer

from bapa.calibrate import calibrate
from bapa.calibrate.curve import chance
from bapa.calibrate.session import part
from bapa.checkpoints import Loaded, load
from bapa.measure import measure
from bapa.probe import Design, Probe, build
from studies.calibration.run import ITEMS, JUDGES, POOL, SEED, SETTINGS, against_native, overall
from studies.reference import dataset
from studies.side_effects.page import DISTANCES, KEPT, MATCHING, RIVALS, STUDY
from studies.study import slug
from studies.tuning.run import ROWS, TUNING

ASKED = 24  # items of each task
DESIGNS = {
    "where": Design(task="where", lines=("row",), items=ASKED, seed=SEED + 20),
    "order": Design(task="order", items=ASKED, seed=SEED + 21),
    "count": Design(task="count", items=ASKED, seed=SEED + 22),
}


def run(
    models: Annotated[list[str], typer.Argument(help="Folders called places-SKEW-SEED.")],
    tune: Annotated[bool, typer.Option("--tune", help="Tune them too, and ask again.")] = False,
    work: Annotated[Path, typer.Option(help="Where answers are kept.")] = Path("build/side-effects"),
) -> None:
    """Calibrate MODELS, ask them about places under every rule, and keep it in the record.

    Tuning asks about matches and places in all cells: 40 steps of 32 questions, as in docs/studies/tuning.md.
    """
    record = STUDY.record()
    whole = build("digits", work / "probe", Design(items=POOL, seed=SEED))
    probes = {"match": part(whole, ITEMS, ITEMS + ASKED)}
    probes |= {task: build("digits", work / task, design) for task, design in DESIGNS.items()}
    for name in models:
        model, folder, kept = load(name), work / slug(name), record.get(slug(name), {})
        told = calibrate(model, whole, folder, items=ITEMS, held_out=JUDGES, statistics=SETTINGS).found
        chosen = told["chosen"]
        rules = list(dict.fromkeys(["native", "bapa", chosen, *KEPT, *RIVALS, *DISTANCES]))
        found = {
            "chosen": chosen,
            "native": against_native(told),
            "chance": {task: chance(probes[task]) for task in DESIGNS},
            "rules": asked(model, probes, rules, folder / "asked"),
        }
        if tune:
            found["tuned"] = tuned(name, probes, list(dict.fromkeys(["native", "bapa", chosen])), work)
        record[slug(name)] = kept | found
        STUDY.keep(record)
        typer.echo(f"{slug(name)}: {chosen}")


def asked(model: Loaded, probes: dict[str, Probe], rules: list[str], folder: Path) -> dict[str, Any]:
    """What ``rules`` do to each task, in the words of the record."""
    found: dict[str, Any] = {rule: {} for rule in rules}
    for task, probe in probes.items():
        for rule, its in overall(measure(model, probe, rules, folder / task, audit=0, statistics=SETTINGS)):
            found[rule][task] = {key: its[key]["value"] for key in MATCHING} if task == "match" else its["hit"]
    return found


def tuned(name: str, probes: dict[str, Probe], rules: list[str], work: Path) -> dict[str, Any]:
    """The same after tuning the model called ``name`` under each of ``rules``, run under it."""
    from bapa.tune import read
    from bapa.tune import tune as train  # takes long to import

    data = work / "data"
    found: dict[str, Any] = {}
    if not data.exists():
        dataset.write(data, skew="uniform", rows=ROWS, seed=2, tasks="places")
    for number, rule in enumerate(rules):
        folder = work / slug(name) / f"tuned-{number}"
        train(load(name), read(data), folder / "model", scheme=rule, settings=TUNING)
        found |= asked(load(str(folder / "model")), probes, [rule], folder / "asked")
    return found
