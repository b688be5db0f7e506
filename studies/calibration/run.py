"""Measures models for docs/studies/calibration.md; every step resumes.

Each model is calibrated on the first items of a probe; then the choice is asked about fresh items, beside rival rules,
on other canvases and in other words, and every distance is asked about some of the items that judge.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a model this small only waits for more threads

import typer

from bapa.calibrate import calibrate
from bapa.calibrate.apart import split
from bapa.calibrate.criteria import CRITERIA, accuracy
from bapa.calibrate.session import part, pick
from bapa.checkpoints import load
from bapa.measure import Run, measure
from bapa.probe import Design, Probe, build
from bapa.stats import Settings
from studies.calibration.attention import mass_of
from studies.calibration.page import DISTANCES, HEADLINE, PAPER, RIVALS, STUDY
from studies.calibration.picture import draw
from studies.study import slug
from studies.text import MEASURES

ITEMS, JUDGES, FRESH, SCANNED, SEED = 32, 60, 200, 24, 101
POOL = 240  # items, of which some share no caption with those that pick
TRANSFERS = {
    "2 x 2 cells of 36 px": Design(rows=2, cols=2, cell=36, items=24, seed=SEED + 1),
    "cells of 48 px, canvas shrunk to 72 px": Design(cell=48, items=24, seed=SEED + 2),
    "longer question": Design(
        items=24, seed=SEED + 3, prompts=("Look in the image. Is there {caption} in the image? Answer yes or no.",)
    ),
}
SETTINGS = Settings(resamples=1000)


def run(
    models: Annotated[list[str], typer.Argument(help="reference:SKEW, or folders called SKEW-SEED.")],
    work: Annotated[Path, typer.Option(help="Where answers are kept.")] = Path("build/calibration"),
    only: Annotated[bool, typer.Option("--only-native", help="Judge choices against native alone.")] = False,
) -> None:
    """Calibrate MODELS, ask them what the page tells, and keep it in the record."""
    record = {"native": {}} | (STUDY.record() or {"models": {}, "lost": {}})
    probe = build("digits", work / "probe", Design(items=POOL, seed=SEED))
    for name in models:
        told = calibrated(name, probe, work)
        record["native"][slug(name)] = {"chosen": told["chosen"], **against_native(told)}
        STUDY.keep(record)
        typer.echo(f"{slug(name)}: {told['chosen']}, {told['against_native']['says']}")
    if only:
        return
    fresh = build("digits", work / "fresh", Design(items=FRESH, seed=SEED + 9))
    for name in models:
        record["models"][slug(name)] = of_model(name, probe, fresh, work)
        record["lost"] = lost(record["models"].values())
        STUDY.keep(record)
        typer.echo(f"{slug(name)}: {record['models'][slug(name)]['chosen']}")
    draw(record["models"])


def calibrated(name: str, probe: Probe, work: Path) -> dict[str, Any]:
    """What the search found for one model, and what the items that judge say of it."""
    return calibrate(load(name), probe, work / slug(name), items=ITEMS, held_out=JUDGES, statistics=SETTINGS).found


def of_model(name: str, probe: Probe, fresh: Probe, work: Path) -> dict[str, Any]:
    """What the record holds of one model."""
    model, folder = load(name), work / slug(name)
    chosen, study, judges = (
        calibrated(name, probe, work)["chosen"],
        folder / "study",
        pick(probe, split(probe, ITEMS, JUDGES).judging),
    )

    def asked(name: str, about: Probe, rules: Sequence[str]) -> Run:
        return measure(model, about, list(dict.fromkeys(rules)), study / name, audit=0, statistics=SETTINGS)

    judged = ["native", PAPER, chosen]
    some = part(judges, 0, SCANNED)
    scanned = asked("scan", some, [*DISTANCES, chosen])
    found = {
        "chosen": chosen,
        "fresh": {
            rule: {key: its[key] for key in (*HEADLINE, *MEASURES)}
            for rule, its in overall(asked("fresh", fresh, judged))
        },
        "judging": values(asked("judging", judges, [*judged, *RIVALS])),
        "scan": {rule: its["balanced_accuracy"]["value"] for rule, its in overall(scanned)},
        "label_free": label_free(scanned, probe.cells, mass_of(model, some)),
        "curve": [[rule, its["hit"]["value"]] for rule, its in overall(scanned) if rule in DISTANCES],
    }
    if name.startswith("reference:"):
        found["transfer"] = {
            title: values(asked(f"transfer-{number}", build("digits", work / f"transfer-{number}", design), judged))
            for number, (title, design) in enumerate(TRANSFERS.items())
        }
    return found


def against_native(told: dict[str, Any]) -> dict[str, Any]:
    """What the judging items say of the choice against native positions, and against a refitted threshold."""
    judged = {rule: its["balanced_accuracy"]["value"] for rule, its in told["held_out"].items()}
    moved = {rule: its["balanced_accuracy"]["value"] for rule, its in told["thresholds"].items()}
    return {
        **told["against_native"],
        "apart": told["apart"],
        "balanced_accuracy": {rule: judged[rule] for rule in dict.fromkeys(["native", told["chosen"]])},
        "threshold": {rule: moved[rule] for rule in ("native",) if rule in moved},
    }


def overall(run: Run) -> list[tuple[str, dict[str, Any]]]:
    """The estimates over all cells, rule by rule."""
    return [(rule, its["overall"]) for rule, its in run.bias["schemes"].items()]


def values(run: Run) -> dict[str, dict[str, float]]:
    """The measures of the tables without intervals, rule by rule."""
    return {rule: {key: its[key]["value"] for key in MEASURES} for rule, its in overall(run)}


def label_free(scanned: Run, cells: int, looks: dict[str, float]) -> dict[str, Any]:
    """What each criterion picks on one half of the items, judged on the other half.

    ``looks``: attention mass on the image under each distance.
    """
    rows = scanned.answers()
    rows = rows[rows["scheme"].isin(DISTANCES)]
    items = list(dict.fromkeys(rows["item"]))
    half = rows["item"].isin(items[: len(items) // 2])
    judged = {rule: float(accuracy(its, cells).mean()) for rule, its in rows[~half].groupby("scheme", sort=False)}
    scores = {
        name: {rule: float(criterion(its, cells).mean()) for rule, its in rows[half].groupby("scheme", sort=False)}
        for name, criterion in CRITERIA.items()
    }
    scores["attention"] = looks
    picks = {name: max(found, key=found.__getitem__) for name, found in scores.items()}
    return {
        "best": max(judged.values()),
        "picks": {name: {"rule": rule, "balanced_accuracy": judged[rule]} for name, rule in picks.items()},
    }


def lost(models: Any) -> dict[str, dict[str, float]]:
    """Mean and largest loss of each criterion's picks against the best possible, over ``models``."""
    losses: dict[str, list[float]] = {}
    for found in models:
        for name, its in found["label_free"]["picks"].items():
            losses.setdefault(name, []).append(found["label_free"]["best"] - its["balanced_accuracy"])
    return {name: {"mean": sum(lost) / len(lost), "worst": max(lost)} for name, lost in losses.items()}
