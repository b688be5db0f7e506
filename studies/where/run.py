"""Asks models that know rows and reading order where evenness sits and where the sense of place; every step resumes.

Nine parts. ``search``: the rule under a promise, judged on fresh items beside rules that were picked by hand on items
of no probe here. ``fit``: rules whose shares by head and rotary pair are fitted on the items that pick in the search,
on the same fresh items. ``maps``: the shared position in one layer, head, rotary pair or band, one kind of token pairs
at a time. ``rules``: every rule on models that were skewed on purpose, with what it costs in time. ``left``: what
a linear probe still reads of the row from the hidden states. ``tuned``: what 200 steps of tuning under a rule restore.
Three only where they are asked for: ``table``, every rule on a model that is uneven and knows rows; ``point``, what
rules cost a model that writes boxes, as the other models write none; ``point-parts``, the maps of such a model.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a model this small only waits for more threads

import numpy as np
import typer

from bapa.calibrate import calibrate
from bapa.calibrate.frontier import Frontier
from bapa.calibrate.session import part
from bapa.checkpoints import Loaded, load
from bapa.probe import Design, build
from studies.study import slug
from studies.where import fitted, pointed
from studies.where.asking import SETTINGS, asked, change, design, of_rule, probes, rates, times
from studies.where.left import left
from studies.where.page import STUDY
from studies.where.picture import draw
from studies.where.rules import EVERY, NAMED, TASKS, TRIED
from studies.where.sites import maps
from studies.where.together import together
from studies.where.tuned import tuned

SEED, KEEP = 301, 0.9
PICKING, JUDGES, POOL, GUARDED = 32, 40, 120, 48  # items
FRESH, SKEWED = 40, 16
SHOWN = 2  # rules of the search's own frontier that fresh items judge
PARTS = ("search", "fit", "maps", "rules", "left", "tuned", "table", "point", "point-parts")
ASKED_FOR = 3  # the last parts, which run only where they are asked for


def run(
    models: Annotated[list[str], typer.Argument(help="reference:NAME, or folders called places-SKEW-SEED.")],
    parts: Annotated[
        list[str] | None,
        typer.Option("--part", help=f"Only these: {', '.join(PARTS)}; repeatable. [default: all but the last three]"),
    ] = None,
    work: Annotated[Path, typer.Option(help="Where answers are kept.")] = Path("build/where"),
) -> None:
    """Ask MODELS where evenness sits and where the sense of place, and keep it in the record."""
    for name in models:
        for one in parts or PARTS[:-ASKED_FOR]:
            found = _DO[one](load(name), work, work / slug(name))
            record = STUDY.record()  # read late: another process may have kept its models meanwhile
            record.setdefault(one, {})[slug(name)] = found
            STUDY.keep(record)
            typer.echo(f"{slug(name)}: {one}")
    draw(STUDY.record())


def search(model: Loaded, work: Path, folder: Path) -> dict[str, Any]:
    """The choice under a promise, and what fresh items say of it and of the rules picked by hand."""
    whole = build("digits", work / "probe", Design(items=POOL, seed=SEED))
    guards = [build("digits", work / task, design(task, GUARDED, SEED + 1 + n)) for n, task in enumerate(TASKS)]
    options: dict[str, Any] = {"items": PICKING, "held_out": JUDGES, "keep": KEEP, "statistics": SETTINGS}
    told = calibrate(model, whole, folder / "calibrated", guards=guards, **options)
    found = told.frontier
    if found is None:
        raise TypeError("a calibration under a promise has a frontier")
    picked = [one.candidate for one in found.best][:SHOWN]
    rules = list(dict.fromkeys([*NAMED[:4], *TRIED, *picked, told.chosen]))
    runs = asked(model, probes(work, FRESH, SEED + 50), rules, folder / "fresh")
    points = [of_rule(rule, runs) for rule in rules]
    promise = told.found["promise"]
    return {
        "chosen": told.chosen,
        "picked": {"keep": KEEP, "tried": len(found.points), "held": len(found.held), "cost": promise["cost"]},
        "judged": promise["judged"],
        "guards": {one["probe"]["task"]: one for one in told.guards},
        "fresh": Frontier(KEEP, tuple(points)).record(),
        "rates": rates(runs, rules),
        "hits": {rule: runs["match"].bias["schemes"][rule]["overall"]["range"] for rule in rules},
        "changes": {rule: change(runs["match"], rule) for rule in rules if rule != "native"},
    }


def fit(model: Loaded, work: Path, folder: Path) -> dict[str, Any]:
    """Rules with fitted shares, and what the fresh items of the search say of them."""
    picking = {"match": build("digits", work / "probe", Design(items=POOL, seed=SEED))}
    picking |= {task: build("digits", work / task, design(task, GUARDED, SEED + 1 + n)) for n, task in enumerate(TASKS)}
    first = {task: part(probe, 0, PICKING) for task, probe in picking.items()}
    found = fitted.fit(
        model,
        first,
        lambda rules: asked(model, probes(work, FRESH, SEED + 50), rules, folder / "fit-fresh"),
        of_rule,
        folder,
        items=PICKING,
        keep=KEEP,
        settings=SETTINGS,
    )
    runs = found.pop("runs")
    rules = list(runs["match"].bias["schemes"])
    return {
        **found,
        "rates": rates(runs, rules),
        "hits": {rule: runs["match"].bias["schemes"][rule]["overall"]["range"] for rule in rules},
        "changes": {rule: change(runs["match"], rule) for rule in rules if rule != "native"},
    }


def rules(model: Loaded, work: Path, folder: Path) -> dict[str, Any]:
    """Every rule on one model: how even, how good, and its time against native."""
    probe = build("digits", work / "skewed", Design(items=SKEWED, seed=SEED + 70))
    found = asked(model, {"match": probe}, EVERY, folder / "rules")["match"]
    names = ("auc", "auc_range", "auc_worst_cell", "hit", "false_alarm")
    spent = times(model, probe, EVERY)
    return {
        rule: {name: found.bias["schemes"][rule]["overall"][name] for name in names}
        | {"time": float(np.median(spent[rule]))}
        for rule in EVERY
    }


_DO = {
    "search": search,
    "fit": fit,
    "maps": maps,
    "rules": rules,
    "left": lambda model, work, _: left(model, work),
    "tuned": tuned,
    "table": together,
    "point": pointed.pointed,
    "point-parts": pointed.maps,
}
