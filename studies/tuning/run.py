"""Every rule on reference models, training-free and after the same short tuning, for docs/studies/tuning.md.

Everything goes to ``build/tuning``, by skew, seed and rule; stopped, the same command goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy import stats

from bapa.attach import balanced
from bapa.checkpoints import load
from bapa.errors import SchemeError
from bapa.measure import Run, measure
from bapa.probe import Design, Probe, build
from bapa.schemes import names
from bapa.stats import Settings as Statistics
from bapa.stats.intervals import Estimate, bootstrap
from bapa.tune import Settings, read
from studies.reference import dataset
from studies.reference.recipe import SKEWS
from studies.study import slug
from studies.tuning.page import OVERALL, STUDY

ITEMS, ROWS, DRAWS = 60, 1280, 2000
TUNING = Settings(rate=3e-3, batch=32, save_every=0)
STATISTICS = Statistics(resamples=300)
FEW = ("native", "bapa", "bapa:distance=native", "shuffle")  # for the skews that balancing serves anyway

Values = NDArray[np.float64]


def run(
    models: Annotated[list[str], typer.Argument(help="Models of one skew: reference:SKEW, folders called SKEW-SEED.")],
    scheme: Annotated[
        list[str] | None, typer.Option(help="Tune under this rule only, and keep nothing yet; repeatable.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Where models and answers are kept.")] = Path("build/tuning"),
) -> None:
    """Measure MODELS under every rule, tune them under each, measure again, and keep it in the record."""
    probe = build("digits", work / "probe", Design(items=ITEMS))
    before: dict[int, Run] = {}
    after: dict[str, dict[int, Run]] = {}
    (skew,) = {slug(name).rpartition("-")[0] for name in models}
    for name in models:
        seed, folder, rules = int(slug(name).rpartition("-")[2]), work / slug(name), accepted(name, skew)
        before[seed] = measure(load(name), probe, rules, folder / "training-free", audit=0, statistics=STATISTICS)
        for rule in rules if scheme is None else scheme:
            after.setdefault(rule, {})[seed] = tuned(name, probe, rule, skew, seed, folder)
            typer.echo(f"{slug(name)}: {rule}")
    if scheme is None:
        STUDY.keep(STUDY.record() | {skew: found(skew, before, after)})


def accepted(name: str, skew: str) -> list[str]:
    """The rules that the model takes: for ``center`` those of ``bapa schemes``, and the distance that leaves the text
    where it was; for the other skews :data:`FEW` of them.
    """
    model = load(name).model
    rules = []
    for rule in [*names(), "bapa:distance=native"] if skew == "center" else FEW:
        try:
            with balanced(model, rule):
                rules.append(rule)
        except SchemeError:
            continue
    return rules


def tuned(name: str, probe: Probe, rule: str, skew: str, seed: int, folder: Path) -> Run:
    """The model tuned under ``rule`` on questions about the skew's cells only, measured under it and natively."""
    from bapa.tune import tune  # takes long to import

    here, data = folder / rule.replace(":", "-"), folder.with_name(f"{skew}-data-{seed}")
    if not data.exists():
        dataset.write(data, skew=skew, rows=ROWS, seed=seed)
    tune(load(name), read(data), here / "tuned", scheme=rule, settings=TUNING)
    rules = list(dict.fromkeys([rule, "native"]))
    return measure(load(str(here / "tuned")), probe, rules, here / "measured", audit=0, statistics=STATISTICS)


def found(skew: str, before: Mapping[int, Run], after: Mapping[str, Mapping[int, Run]]) -> dict[str, Any]:
    """What the record holds of one skew."""
    rules: dict[str, Any] = {}
    for rule in dict.fromkeys([*(rule for run in before.values() for rule in run.bias["schemes"]), *after]):
        untuned = [run for run in before.values() if rule in run.bias["schemes"]]
        runs = list(after.get(rule, {}).values())
        moments = {"training-free": (rule, untuned), "tuned": (rule, runs)}
        if rule != "native":
            moments["tuned, then run natively"] = ("native", runs)
        rules[rule] = {moment: means(running, its, skew) for moment, (running, its) in moments.items() if its}
    others = {rule: runs for rule, runs in after.items() if rule != "native" and "native" in after}
    seeds = {
        rule: {
            str(seed): against(run, rule, after["native"][seed], skew)
            for seed, run in runs.items()
            if seed in after["native"]
        }
        for rule, runs in others.items()
    }
    return {
        "seeds": [*before],
        "tuned": {rule: [*runs] for rule, runs in after.items()},
        "rules": rules,
        "seed_by_seed": seeds,
        "gains": {rule: gain(rule, runs, after["native"], seeds[rule]) for rule, runs in others.items()},
    }


def means(running: str, runs: Sequence[Run], skew: str) -> dict[str, Any]:
    """Means over seeds of the figures of one rule at one moment."""
    hits = over_seeds([float(unseen(run, running, skew).mean()) for run in runs])
    overall = {key: over_seeds([value(run, running, key) for run in runs]) for key in OVERALL}
    return {"seeds": len(runs), "hits": hits, **overall}


def against(run: Run, rule: str, native: Run, skew: str) -> dict[str, Any]:
    """A rule after tuning and the native continuation of the same seed, on the same items."""
    sides = {"native": (native, "native"), "rule": (run, rule)}
    return {
        side: {
            "hits": float(unseen(its, running, skew).mean()),
            "false_alarm": 1 - float(unseen(its, running, skew, "absent").mean()),
        }
        for side, (its, running) in sides.items()
    } | {
        "gain": {
            "hits": estimate(unseen(run, rule, skew) - unseen(native, "native", skew)),
            "balanced_accuracy": estimate(balance(run, rule, skew) - balance(native, "native", skew)),
        }
    }


def gain(rule: str, runs: Mapping[int, Run], native: Mapping[int, Run], seeds: Mapping[str, Any]) -> dict[str, Any]:
    """What tuning under a rule gains over tuning natively, over seeds."""
    told: dict[str, Any] = {"seeds": len(seeds)}
    for key in ("hits", "balanced_accuracy"):
        gains = [its["gain"][key] for its in seeds.values()]
        signs = {"above": sum(its["low"] > 0 for its in gains), "below": sum(its["high"] < 0 for its in gains)}
        told[key] = over_seeds([its["value"] for its in gains]) | signs
    for key in ("range", "false_alarm"):
        pairs = [(value(native[int(seed)], "native", key), value(runs[int(seed)], rule, key)) for seed in seeds]
        told[key] = [float(x) for x in np.mean(pairs, axis=0)]
    return told


def value(run: Run, rule: str, key: str) -> float:
    """A figure over all cells."""
    return float(run.bias["schemes"][rule]["overall"][key]["value"])


def unseen(run: Run, rule: str, skew: str, kind: str = "present") -> Values:
    """For each item the share of right answers to questions of ``kind`` over the cells training never asked about;
    over all cells where it asked about each.
    """
    answers = run.answers()
    answers = answers[(answers.scheme == rule) & (answers.kind == kind)]
    asked = answers.cell.isin(SKEWS[skew])
    return answers[~asked | asked.all()].groupby("item").correct.mean().to_numpy()


def balance(run: Run, rule: str, skew: str) -> Values:
    """For each item the mean of hits and right refusals over those cells."""
    return (unseen(run, rule, skew) + unseen(run, rule, skew, "absent")) / 2


def mean_of(values: Values, weights: Values) -> dict[str, Values]:
    """The weighted mean, for :func:`bapa.stats.intervals.bootstrap`."""
    return {"mean": weights @ values / weights.sum(1)}


def estimate(values: Values) -> Estimate:
    """Mean with a 95 % bootstrap interval over items."""
    found = bootstrap(partial(mean_of, values), len(values), resamples=DRAWS, level=0.95, seed=0)
    return found["mean"]


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean over seeds with half of Student's 95 % interval; two seeds bound nothing and get none."""
    if len(values) < 3:
        return {"mean": float(np.mean(values)), "half": None}
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return {"mean": float(np.mean(values)), "half": float(half)}
