"""What a short tuning under a rule restores: matches, rows and order are trained on, fresh items of each judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import concatenate_datasets
from PIL import Image

from bapa.checkpoints import Loaded, load
from bapa.measure import Run, measure
from bapa.probe import Design, Probe, build
from bapa.stats import Settings as Statistics
from bapa.tune import Data, Settings, read
from studies.where.rules import LEADS

ITEMS, FRESH, SEED = 60, 40, 401
TASKS = ("match", "where", "order")
TUNING = Settings(steps=200, batch=16, rate=3e-3, save_every=0)
STATISTICS = Statistics(resamples=1000)


def tuned(model: Loaded, work: Path, folder: Path) -> dict[str, Any]:
    """For each rule evenness, rows and order before and after 200 steps under it."""
    from bapa.tune import tune  # takes long to import

    judges = {task: _probe(work, task, FRESH, SEED + 10) for task in TASKS}
    data = joined([read(_written(work, task)) for task in TASKS])
    found = {rule: {"before": _figures(model, rule, judges, folder / "untuned")} for rule in LEADS}
    for number, rule in enumerate(LEADS):
        here = folder / f"tuned-{number}"
        tune(load(model.name), data, here / "model", scheme=rule, settings=TUNING)
        found[rule]["after"] = _figures(load(str(here / "model")), rule, judges, here)
    return found


def joined(parts: list[Data]) -> Data:
    """The rows of several data as one; a picture's reference begins with the number of its data."""

    def numbered(row: dict[str, Any], number: int) -> dict[str, Any]:
        return {"images": [f"{number}|{reference}" for reference in row["images"]]}

    def opened(reference: str) -> Image.Image:
        number, _, own = reference.partition("|")
        return parts[int(number)].open(own)

    rows = [part.rows.map(numbered, fn_kwargs={"number": number}) for number, part in enumerate(parts)]
    return Data(name="matches, rows and order", rows=concatenate_datasets(rows), open=opened)


def _probe(work: Path, task: str, items: int, seed: int) -> Probe:
    design = Design(task=task, items=items, seed=seed, **({"lines": ("row",)} if task == "where" else {}))
    return build("digits", _folder(work, task, items, seed), design)


def _folder(work: Path, task: str, items: int, seed: int) -> Path:
    return work / f"tuned-{task}-{items}-{seed}"


def _written(work: Path, task: str) -> str:
    """The folder of the training probe of a task."""
    _probe(work, task, ITEMS, SEED)
    return str(_folder(work, task, ITEMS, SEED))


def _figures(model: Loaded, rule: str, judges: dict[str, Probe], folder: Path) -> dict[str, Any]:
    runs: dict[str, Run] = {}
    for task, probe in judges.items():
        here = folder / f"{LEADS.index(rule)}-{task}"
        runs[task] = measure(model, probe, [rule], here, audit=0, statistics=STATISTICS)
    overall = {task: next(iter(run.bias["schemes"].values()))["overall"] for task, run in runs.items()}
    names = ("auc", "auc_range", "auc_worst_cell")
    return {name: overall["match"][name] for name in names} | {task: overall[task]["hit"] for task in TASKS[1:]}
