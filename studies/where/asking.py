"""Asking a model under rules: its probes, its answers, what they say of a rule, and what a rule costs in time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bapa.attach import balanced
from bapa.calibrate.criteria import evenness
from bapa.calibrate.frontier import Point, point
from bapa.calibrate.kept import kept
from bapa.checkpoints import Loaded
from bapa.inference.backend import fitting_plan, prompts_of
from bapa.inference.hf import ModelAsker, ModelBackend, forward
from bapa.measure import Run, measure
from bapa.probe import Design, Probe, build
from bapa.stats import Settings, clusters, intervals
from bapa.stats.intervals import Estimate
from studies.where.rules import TASKS

SETTINGS = Settings(resamples=1000)
BATCH = 18  # canvases a forward whose time is taken


def design(task: str, items: int, seed: int) -> Design:
    """A probe of ``task``: rows alone where it asks where something stands."""
    return Design(task=task, items=items, seed=seed, **({"lines": ("row",)} if task == "where" else {}))


def probes(work: Path, items: int, seed: int, tasks: Sequence[str] = TASKS) -> dict[str, Probe]:
    """A probe of matches and one of each of ``tasks``, of so many items."""
    designs = {task: design(task, items, seed + 1 + n) for n, task in enumerate(tasks)}
    designs = {"match": Design(items=items, seed=seed), **designs}
    return {task: build("digits", work / f"{task}-{items}-{seed}", its) for task, its in designs.items()}


def asked(model: Loaded, about: Mapping[str, Probe], rules: Sequence[str], folder: Path) -> dict[str, Run]:
    """The runs under ``rules``, by task."""
    return {
        task: measure(model, probe, list(rules), folder / task, audit=0, statistics=SETTINGS)
        for task, probe in about.items()
    }


def rates(runs: Mapping[str, Run], rules: Sequence[str]) -> dict[str, Any]:
    """Right answers by task and rule."""
    return {task: {rule: runs[task].bias["schemes"][rule]["overall"]["hit"] for rule in rules} for task in TASKS}


def of_rule(rule: str, runs: Mapping[str, Run]) -> Point:
    """A rule as a point of the frontier, with what it keeps of each task that was asked."""
    answers = {task: run.answers() for task, run in runs.items()}
    cells = {task: len(run.bias["schemes"][rule]["cells"]) for task, run in runs.items()}
    by = {task: dict(iter(rows.groupby("scheme"))) for task, rows in answers.items()}
    share = {task: kept(by[task]["native"], by[task][rule], cells[task], SETTINGS) for task in TASKS if task in runs}
    return point(rule, by["match"][rule], share, cells["match"], SETTINGS)


def margins(answers: pd.DataFrame, cells: int) -> Estimate:
    """The mean of :func:`~bapa.calibrate.criteria.evenness` with Student's interval over the items."""
    values = evenness(answers, cells)

    def mean(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"margins": weights @ values / weights.sum(1)}

    sample = intervals.jackknife(mean, clusters.clusters(answers, SETTINGS.cluster).of)
    return intervals.mean(sample.values["margins"], sample.errors["margins"], SETTINGS.level)


def change(run: Run, rule: str) -> dict[str, Any]:
    """What ``rule`` changes against native, with intervals."""
    return {
        row["quantity"]: {"difference": row["difference"], "p": row["p"]}
        for row in run.bias["comparisons"]
        if (row["a"], row["b"]) == ("native", rule) and row["quantity"].startswith("auc") and "cell" not in row
    }


def times(model: Loaded, probe: Probe, rules: Sequence[str], rounds: int = 5) -> dict[str, list[float]]:
    """Seconds of the processor for a block of canvases with their questions, as shares of native's in the same round:
    one of each round, in which each rule comes once.
    """
    backend, prompts = ModelBackend(model), prompts_of(model, probe)
    plan = fitting_plan(model.name, backend.config, probe, prompts, len(probe.items), BATCH)
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
    return {rule: (np.array(its) / native).tolist() for rule, its in spent.items()}
