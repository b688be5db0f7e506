"""What even answers cost: rows, reading order and numbers under every rule; fills its part of docs/calibration.md.

    python docs/guards.py measure FOLDER/places-uniform-2 FOLDER/places-bottom-2 --work WORK
    python docs/guards.py write --work WORK

The models are those of `python -m studies.reference train --tasks places`. Every step resumes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a model this small only waits for more threads

import typer

from bapa.calibrate import calibrate
from bapa.calibrate.curve import chance
from bapa.calibrate.dials import distances
from bapa.calibrate.session import Session, part
from bapa.checkpoints import load
from bapa.probe import Design, Probe, build
from bapa.report import view
from docs.calibration import ITEMS, JUDGES, SEED, SETTINGS, fill, points_of
from docs.tuning import TUNING
from studies.reference import dataset

GUARDED, STEPS = 24, 8
RIVALS = ("bapa:distance=native", "stride", "concentric", "manhattan", "pyramid", "reverse", "shuffle")
KEPT = tuple(f"calibrated:distance=1x,delta={delta}" for delta in (0.5, 0.8, 0.9))  # how much order must stay
GUARDS = {
    "where": Design(task="where", lines=("row",), items=GUARDED, seed=SEED + 20),
    "order": Design(task="order", items=GUARDED, seed=SEED + 21),
    "count": Design(task="count", items=GUARDED, seed=SEED + 22),
}
HEAD = "match: hits | its false alarms | its range | row | order | number"
app = typer.Typer(add_completion=False)


@app.command()
def measure(models: list[str], work: Annotated[Path, typer.Option()]) -> None:
    """Calibrate ``models`` and ask them the guards' questions under every rule."""
    work.mkdir(parents=True, exist_ok=True)
    probe = build("digits", work / "probe", Design(items=ITEMS + JUDGES, seed=SEED))
    probes = {"match": part(probe, ITEMS, ITEMS + GUARDED)}
    probes |= {task: build("digits", work / task, design) for task, design in GUARDS.items()}
    for name in models:
        model, folder = load(name), work / Path(name).name
        chosen = calibrate(model, probe, folder, items=ITEMS, held_out=JUDGES, statistics=SETTINGS)["chosen"]
        rules = list(dict.fromkeys(["native", "bapa", chosen, *KEPT, *RIVALS, *distances(STEPS)]))
        for task, asked in probes.items():
            out = folder / "guards" / f"{task}.json"
            if out.exists():
                continue
            rows = Session(model, asked, folder / "guards", 18).ask(task, 0, GUARDED, rules)
            found = {"chosen": chosen, "points": points_of(rows, asked, rules)}
            out.write_text(json.dumps(found | ({} if task == "match" else {"chance": chance(asked)}), indent=1))
        typer.echo(f"{name}: {chosen}")


@app.command()
def tune(model: str, work: Annotated[Path, typer.Option()]) -> None:
    """Tune ``model`` under some rules on questions about matches and places, and ask the guards again.

    The data ask about all cells; 40 steps of 32 questions, as in docs/tuning.py.
    """
    from bapa.tune import read
    from bapa.tune import tune as train

    folder = work / Path(model).name
    chosen = json.loads((folder / "guards" / "match.json").read_text())["chosen"]
    if not (work / "data").exists():
        dataset.write(work / "data", skew="uniform", rows=1280, seed=2, tasks="places")
    probes = {"match": part(Probe.load(work / "probe"), ITEMS, ITEMS + GUARDED)}
    probes |= {task: Probe.load(work / task) for task in GUARDS}
    for number, rule in enumerate(dict.fromkeys(["native", "bapa", chosen])):
        place = folder / f"tuned-{number}"
        if (place / "guards.json").exists():
            continue
        train(load(model), read(work / "data"), place / "model", scheme=rule, settings=TUNING)
        after, found = load(str(place / "model")), {}
        for task, asked in probes.items():
            rows = Session(after, asked, place / "rounds", 18).ask(task, 0, GUARDED, [rule])
            (found[task],) = points_of(rows, asked, [rule])
        (place / "guards.json").write_text(json.dumps({"rule": rule, "found": found}, indent=1))
        typer.echo(f"{model}: tuned under {rule}")


@app.command()
def write(work: Annotated[Path, typer.Option()]) -> None:
    """Fill docs/calibration.md from what ``measure`` left in ``work``."""
    models = {
        path.parents[1].name: {
            task: json.loads((path.parent / f"{task}.json").read_text()) for task in ("match", *GUARDS)
        }
        for path in sorted(work.glob("*/guards/count.json"))
    }
    tuned = [
        (path.parents[1].name, json.loads(path.read_text())) for path in sorted(work.glob("*/tuned-*/guards.json"))
    ]
    if not models:
        raise SystemExit(f"nothing measured in {work}: first run docs/guards.py measure MODELS --work {work}")
    fill({"guards": rules(models), "guards by distance": by_distance(models), "guards after tuning": after(tuned)})


def rules(models: dict[str, Any]) -> str:
    """Every rule: how well and how evenly it matches, and what it can still tell of places and numbers."""
    lines = [f"| model | rule | {HEAD} |", "|---" * 8 + "|"]
    for model, found in models.items():
        blind = " | ".join(view.percent(found[task]["chance"], 1) for task in GUARDS)
        lines.append(f"| {model} | *never looks* | | | | {blind} |")
        chosen = found["match"]["chosen"]
        for rule in dict.fromkeys(["native", "bapa", chosen, *KEPT, *RIVALS]):
            name = f"**`{rule}`**" if rule == chosen else f"`{rule}`"
            lines.append(f"| {model} | {name} | {figures({task: _point(found, task, rule) for task in found})} |")
    return "\n".join(lines) + "\n"


def figures(its: dict[str, Any]) -> str:
    """One rule's points, by task, in the columns of :data:`HEAD`."""
    cells = [view.percent(its["match"][key]["value"], 1) for key in ("hit", "false_alarm", "range")]
    told = (its[task]["hit"] for task in GUARDS)
    cells += [f"{view.percent(hit['value'], 1)} <sub>{view.interval(hit, 1)}</sub>" for hit in told]
    return " | ".join(cells)


def by_distance(models: dict[str, Any]) -> str:
    """Shared positions at growing distances: match / row / order / number."""
    dials = distances(STEPS)
    heads = ("paper" if dial == "bapa" else dial.partition("=")[2] for dial in dials)
    lines = ["| model | " + " | ".join(heads) + " |", "|---" * (len(dials) + 1) + "|"]
    for model, found in models.items():
        cells = (
            " / ".join(view.percent(_point(found, task, dial)["hit"]["value"]) for task in found) for dial in dials
        )
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def after(tuned: list[tuple[str, Any]]) -> str:
    """What the guards say after tuning under a rule, run under that rule."""
    lines = [f"| model | tuned and run under | {HEAD} |", "|---" * 8 + "|"]
    lines += [f"| {model} | `{its['rule']}` | {figures(its['found'])} |" for model, its in tuned]
    return "\n".join(lines) + "\n"


def _point(found: dict[str, Any], task: str, rule: str) -> dict[str, Any]:
    return next(point for point in found[task]["points"] if point["dial"] == rule)


if __name__ == "__main__":
    app()
