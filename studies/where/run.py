"""Asks models that know rows and reading order where evenness sits and where the sense of place; every step resumes.

Seven parts. ``search``: the rule under a promise, judged on fresh items beside rules that were picked by hand on items
of no probe here. ``fit``: rules whose shares by head and rotary pair are fitted on the items that pick in the search,
on the same fresh items. ``maps``: the shared position in one layer, one rotary pair, one kind of token pairs at a time.
``rules``: every rule on models that were skewed on purpose, with what it costs in time. ``left``: what a linear probe
still reads of the row from the hidden states. ``tuned``: what 200 steps of tuning under a rule restore. ``point``: what
rules cost a model that writes boxes; only where it is asked for, as the other models write none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a model this small only waits for more threads

import numpy as np
import typer

from bapa.attach import balanced
from bapa.calibrate import calibrate
from bapa.calibrate.frontier import Frontier, Point, point
from bapa.calibrate.kept import kept
from bapa.calibrate.session import part
from bapa.checkpoints import Loaded, load
from bapa.families.anatomy import find
from bapa.inference.backend import fitting_plan, prompts_of
from bapa.inference.hf import ModelAsker, ModelBackend, forward
from bapa.measure import Run, measure
from bapa.probe import Design, Probe, build
from bapa.stats import Settings
from studies.study import slug
from studies.where import fitted
from studies.where.left import left
from studies.where.page import STUDY, TASKS
from studies.where.picture import draw
from studies.where.pointed import pointed
from studies.where.rules import EVERY, NAMED, TRIED, one_at_a_time
from studies.where.tuned import tuned

SEED, KEEP = 301, 0.9
PICKING, JUDGES, POOL, GUARDED = 32, 40, 120, 48  # items
FRESH, SCANNED, SKEWED = 40, 8, 16
SHOWN = 2  # rules of the search's own frontier that fresh items judge
SETTINGS = Settings(resamples=1000)
PARTS = ("search", "fit", "maps", "rules", "left", "tuned", "point")


def run(
    models: Annotated[list[str], typer.Argument(help="reference:NAME, or folders called places-SKEW-SEED.")],
    parts: Annotated[
        list[str] | None,
        typer.Option("--part", help=f"Only these: {', '.join(PARTS)}; repeatable. [default: all but point]"),
    ] = None,
    work: Annotated[Path, typer.Option(help="Where answers are kept.")] = Path("build/where"),
) -> None:
    """Ask MODELS where evenness sits and where the sense of place, and keep it in the record."""
    for name in models:
        for one in parts or PARTS[:-1]:
            found = _DO[one](load(name), work, work / slug(name))
            record = STUDY.record()  # read late: another process may have kept its models meanwhile
            record.setdefault(one, {})[slug(name)] = found
            STUDY.keep(record)
            typer.echo(f"{slug(name)}: {one}")
    draw(STUDY.record().get("search", {}))


def probes(work: Path, items: int, seed: int) -> dict[str, Probe]:
    """A probe of matches and one of each task, of so many items."""
    designs = {task: _design(task, items, seed + 1 + n) for n, task in enumerate(TASKS)}
    designs = {"match": Design(items=items, seed=seed), **designs}
    return {task: build("digits", work / f"{task}-{items}-{seed}", design) for task, design in designs.items()}


def search(model: Loaded, work: Path, folder: Path) -> dict[str, Any]:
    """The choice under a promise, and what fresh items say of it and of the rules picked by hand."""
    whole = build("digits", work / "probe", Design(items=POOL, seed=SEED))
    guards = [build("digits", work / task, _design(task, GUARDED, SEED + 1 + n)) for n, task in enumerate(TASKS)]
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
    picking |= {
        task: build("digits", work / task, _design(task, GUARDED, SEED + 1 + n)) for n, task in enumerate(TASKS)
    }
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


def maps(model: Loaded, work: Path, folder: Path) -> dict[str, Any]:
    """The shared position in one place at a time."""
    layers, pairs, length = _sizes(model)
    config: Any = model.model.config
    parts = one_at_a_time(layers, pairs, config.get_text_config().num_key_value_heads)
    runs = asked(model, probes(work, SCANNED, SEED + 90), ["native", *dict.fromkeys(parts.values())], folder / "maps")
    told = {part: asdict(of_rule(rule, runs)) for part, rule in {"native": "native", **parts}.items()}
    return {"parts": told, "waves": [float(wave / length) for wave in _waves(model)]}


def rules(model: Loaded, work: Path, folder: Path) -> dict[str, Any]:
    """Every rule on one model: how even, how good, and its time against native."""
    probe = build("digits", work / "skewed", Design(items=SKEWED, seed=SEED + 70))
    found = asked(model, {"match": probe}, EVERY, folder / "rules")["match"]
    names = ("auc", "auc_range", "auc_worst_cell", "hit", "false_alarm")
    spent = times(model, probe, EVERY)
    return {
        rule: {name: found.bias["schemes"][rule]["overall"][name] for name in names} | {"time": spent[rule]}
        for rule in EVERY
    }


def asked(model: Loaded, about: dict[str, Probe], rules: Sequence[str], folder: Path) -> dict[str, Run]:
    """The runs under ``rules``, by task."""
    return {
        task: measure(model, probe, list(rules), folder / task, audit=0, statistics=SETTINGS)
        for task, probe in about.items()
    }


def rates(runs: dict[str, Run], rules: Sequence[str]) -> dict[str, Any]:
    """Right answers by task and rule."""
    return {task: {rule: runs[task].bias["schemes"][rule]["overall"]["hit"] for rule in rules} for task in TASKS}


def of_rule(rule: str, runs: dict[str, Run]) -> Point:
    """A rule as a point of the frontier."""
    answers = {task: run.answers() for task, run in runs.items()}
    cells = {task: len(run.bias["schemes"][rule]["cells"]) for task, run in runs.items()}
    by = {task: dict(iter(rows.groupby("scheme"))) for task, rows in answers.items()}
    share = {task: kept(by[task]["native"], by[task][rule], cells[task], SETTINGS) for task in TASKS}
    return point(rule, by["match"][rule], share, cells["match"], SETTINGS)


def change(run: Run, rule: str) -> dict[str, Any]:
    """What ``rule`` changes against native, with intervals."""
    return {
        row["quantity"]: {"difference": row["difference"], "p": row["p"]}
        for row in run.bias["comparisons"]
        if (row["a"], row["b"]) == ("native", rule) and row["quantity"].startswith("auc") and "cell" not in row
    }


def times(model: Loaded, probe: Probe, rules: Sequence[str], rounds: int = 5) -> dict[str, float]:
    """Seconds of the processor for a block of canvases with their questions, as a share of native's: the median of so
    many rounds, each rule once a round.
    """
    backend, prompts = ModelBackend(model), prompts_of(model, probe)
    plan = fitting_plan(model.name, backend.config, probe, prompts, len(probe.items), 18)
    made = forward(model.model, prompts, probe, plan, rules)
    asker = ModelAsker(made, probe, plan, rules, generate=0, audit=0)
    block = asker.prepare(plan.block(0))
    if isinstance(block, Exception):
        raise block
    seen = made.see(block.asked)
    spent: dict[str, list[float]] = {rule: [] for rule in rules}
    for _ in range(rounds):
        for rule in rules:
            with balanced(model.model, rule):
                start = time.process_time()
                made.logits(seen)
                spent[rule].append(time.process_time() - start)
    native = np.array(spent["native"])
    return {rule: float(np.median(np.array(its) / native)) for rule, its in spent.items()}


def _design(task: str, items: int, seed: int) -> Design:
    return Design(task=task, items=items, seed=seed, **({"lines": ("row",)} if task == "where" else {}))


def _waves(model: Loaded) -> Any:
    """Wavelengths of the rotary pairs, in positions, (pairs,)."""
    rotary: Any = find(model.model).rotaries[0]
    return 2 * np.pi / rotary.inv_freq.double().cpu().numpy()


def _sizes(model: Loaded) -> tuple[int, int, int]:
    """Layers, rotary pairs, and tokens of an image."""
    config: Any = model.model.config
    return len(find(model.model).layers), len(_waves(model)), int(config.image_seq_length)


_DO = {
    "search": search,
    "fit": fit,
    "maps": maps,
    "rules": rules,
    "left": lambda model, work, _: left(model, work),
    "tuned": tuned,
    "point": pointed,
}
