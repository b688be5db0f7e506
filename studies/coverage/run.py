"""Simulates the statistics of a run on planted truths and writes record.json.

python -m studies.coverage run                 # the record; what is there already is kept, so that it resumes
python -m studies.coverage run --runs 40       # a smaller one
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Annotated, Any

import numpy as np
import typer

from bapa.report import claims, words
from bapa.stats import bias as statistics
from bapa.stats import comparisons, extremes, rates
from bapa.stats.trials import Trials
from studies.coverage.causes import CAUSES, said
from studies.coverage.page import STUDY
from studies.coverage.planted import World, over, shape_worlds, steep, worlds

ITEMS = (30, 60, 100, 200)
LEVEL = 0.95
Row = dict[str, Any]


def measured(found: list[Trials], member: Any, by: str) -> tuple[dict[str, Any], list[Row]]:
    """What a run would hold of two schemes ``a`` and ``b``."""
    named = dict(zip("ab", found, strict=True))
    units = over(member, by)
    sample = statistics.sampled(named, units, rates.predictors(3, 3))
    maps = {label: statistics.mapped(label, scheme, sample, units) for label, scheme in named.items()}
    schemes: dict[str, Any] = {
        label: {
            **statistics.figures(label, scheme, sample, maps[label], 3, LEVEL),
            "tests": {statistics.range_key(name): drawn.test for name, drawn in maps[label].items()},
        }
        for label, scheme in named.items()
    }
    return schemes, comparisons.compare(schemes, sample, maps, LEVEL)["comparisons"]


def coverage(world: World, runs: int, seed: int = 0) -> dict[str, Row]:
    """By quantity: its true value, the mean of its values, how often its interval holds the truth, lies above it, and
    below it; differences between the two schemes are called ``b - a``.
    """
    truth = world.truth()
    by = "group" if world.groups else "item"
    seen: dict[str, list[tuple[float, float, float, float]]] = {}
    for rng in _seeds(runs, seed):
        schemes, rows = measured(*world.draw(rng), by)
        for name, estimate, true in _all(schemes["a"], rows, truth):
            if estimate["low"] is not None:
                seen.setdefault(name, []).append((true, estimate["value"], estimate["low"], estimate["high"]))
    return {name: _covered(np.array(values)) for name, values in seen.items()}


def ranges(world: World, runs: int, seed: int = 0) -> dict[str, Row]:
    """The same of the ranges alone, of a single scheme."""
    (truth,) = world.truth()
    seen: dict[str, list[tuple[float, float, float, float]]] = {}
    for rng in _seeds(runs, seed):
        (scheme,), member = world.draw(rng)
        units = over(member, "item")
        sample = statistics.sampled({"a": scheme}, units, rates.predictors(3, 3))
        for name, found in statistics.mapped("a", scheme, sample, units).items():
            key, estimate = statistics.range_key(name), extremes.range_(found, LEVEL)
            value, low, high = (estimate[end] or 0.0 for end in ("value", "low", "high"))
            seen.setdefault(key, []).append((float(truth[f"overall.{key}"]), value, low, high))
    return {name: _covered(np.array(values)) for name, values in seen.items()}


def _all(scheme: Any, rows: list[Row], truth: Any) -> Iterator[tuple[str, Any, float]]:
    one, two = truth
    for name, estimate in scheme["overall"].items():
        if (true := one.get(f"overall.{name}")) is not None:
            yield name, estimate, float(true)
    for name in ("hit", "auc", "d_prime", "false_alarm"):
        yield f"{name} of a cell", scheme["cells"][4][name], float(one[name][4])
    yield "slope on the row", scheme["slopes"]["row"], float(one["slopes.row"])
    for row in rows:
        name = row["quantity"]
        if "cell" not in row:
            yield f"{name}, b - a", row["difference"], float(two[f"overall.{name}"] - one[f"overall.{name}"])
        elif row["cell"] == 4:
            yield f"{name} of a cell, b - a", row["difference"], float(two[name][4] - one[name][4])


def _covered(values: Any) -> Row:
    true, value, low, high = values.T
    return {
        "true": round(float(true[0]), 4),
        "mean": round(float(value.mean()), 4),
        "holds": round(float(((low <= true + 1e-9) & (true <= high + 1e-9)).mean()), 4),
        "above": round(float((low > true + 1e-9).mean()), 4),
        "below": round(float((high < true - 1e-9).mean()), 4),
        "runs": len(values),
    }


def rejections(world: World, runs: int, seed: int = 1) -> dict[str, float]:
    """How often each test rejects at 5 %, uncorrected: of the place under scheme a, and of b against a."""
    by = "group" if world.groups else "item"
    found: dict[str, list[bool]] = {}
    for rng in _seeds(runs, seed):
        schemes, rows = measured(*world.draw(rng), by)
        for row in rows:
            if row["p"] is not None and row.get("cell", 4) == 4:
                name = f"{row['quantity']}{' of a cell' if 'cell' in row else ''}"
                found.setdefault(name, []).append(row["p"] < 1 - LEVEL)
        for quantity, test in (("AUC", "auc_range"), ("hits", "range")):
            p = schemes["a"]["tests"][test]["p"]
            found.setdefault(f"place, {quantity}", []).append((1.0 if p is None else p) < 1 - LEVEL + 1e-9)
    return {name: round(float(np.mean(values)), 4) for name, values in found.items()}


def _seeds(runs: int, seed: int) -> Iterator[np.random.Generator]:
    yield from (np.random.default_rng([seed, run]) for run in range(runs))


def null_worlds() -> dict[str, World]:
    """Two schemes that do not differ, on a flat map: by wordings, and with items in classes."""
    plain = {f"{n} wordings": World((0.7, 0.7), 60, wordings=n) for n in (1, 2, 3, 5)}
    classes = {f"{n} classes of {200 // n}": World((0.7, 0.7), 200, groups=n) for n in (10, 20, 40)}
    return {**plain, **classes, "200 items": World((0.7, 0.7), 200)}


def level_worlds() -> dict[str, World]:
    """Two flat maps at different levels; two equal ranges turned upside down; rows that differ in threshold alone."""
    flats = {f"flat {a} and {b}, {n} items": World((a, b), n) for a, b in ((0.5, 0.97), (0.7, 0.05)) for n in (60, 200)}
    turned = World((steep(0.56, 0.8), steep(0.8, 0.56)), 100)
    rows = World((0.7, 0.7), 200, shift=(0.0,) * 3 + (-0.5,) * 3 + (-1.5,) * 3)
    return {**flats, "20 points, turned, 100 items": turned, "thresholds differ by row, 200 items": rows}


def power_worlds() -> dict[str, World]:
    """An uneven map against a flat one."""
    found = {}
    for points, low, high in ((20, 0.56, 0.8), (40, 0.4, 0.87)):
        for items in (60, 200):
            found[f"{points} points against flat, {items} items"] = World((steep(low, high), (low + high) / 2), items)
    return found


def null_reports(runs: int) -> dict[str, float]:
    """Of ``runs`` reports on five schemes that do not differ, on a flat map: the share that claims an effect of a
    scheme, that the place matters, or either. What the sentences say is compared with what the table says.
    """
    effects, places, split = [], [], []
    for rng in _seeds(runs, 2):
        names = ("native", "a", "b", "c", "d")
        found = report(World((0.7,) * len(names), 60), names, rng)
        mean, span = claims.main(found)
        moved = [
            label for label in names[1:] if claims.changed(found, label, mean) or claims.changed(found, label, span)
        ]
        said = [label for label in names[1:] if not _silent(words.effect(found, label))]
        effects.append(bool(said))
        places.append(any(claims.place_matters(found, label) for label in names))
        split.append(moved != said)
    either = [a or b for a, b in zip(effects, places, strict=True)]
    return {
        "effect claimed": float(np.mean(effects)),
        "place claimed": float(np.mean(places)),
        "either": float(np.mean(either)),
        "sentence and table disagree": float(np.mean(split)),
        "reports": runs,
    }


def _silent(sentence: str) -> bool:
    return "has no clear effect on how even" in sentence and "no clear change" in sentence


def blind_reports(world: World, runs: int) -> dict[str, float]:
    """How often a report calls the second of two flat maps even because it cannot tell, and simply even or uneven."""
    said = []
    for rng in _seeds(runs, 3):
        found = report(world, ("native", "b"), rng)
        said.append((words.effect(found, "b"), claims.reading(found, "b")))
    return {
        "even because it cannot tell": float(np.mean(["even because it cannot tell" in text for text, _ in said])),
        "called even": float(np.mean([kind == "even" for _, kind in said])),
        "called uneven": float(np.mean([kind == "uneven" for _, kind in said])),
        "reports": runs,
    }


def report(world: World, names: Sequence[str], rng: np.random.Generator) -> dict[str, Any]:
    """The statistics of a run as a report reads them."""
    found = statistics.bias(world.frame(names, rng), rows=3, cols=3)
    return {**found, "probe": {"rows": 3, "cols": 3, "items": world.items, "source": "planted"}}


Work = Callable[[int], Any]


def coverage_work() -> dict[str, Work]:
    """The truths of the coverage table."""
    more = {
        "flat, 3 wordings, 60 items": World((0.7, 0.7), 60, wordings=3),
        "flat, 10 classes of 20": World((0.7, 0.7), 200, groups=10),
        "ceiling, 10 classes of 20": World((0.985, 0.985), 200, groups=10),
        "20 points, 20 classes of 10": World((steep(0.56, 0.8),) * 2, 200, groups=20),
    }
    return {name: partial(coverage, world) for name, world in {**worlds(ITEMS), **more}.items()}


def rejected(worlds: dict[str, World]) -> dict[str, Work]:
    """Rejections in every one of ``worlds``."""
    return {name: partial(rejections, world) for name, world in worlds.items()}


def origin_work() -> dict[str, Work]:
    """Planted causes, and a penalty for features that stand where they never stood."""
    plain = {name: partial(said, effects=effects) for name, effects in CAUSES.items()}
    return {**plain, "position, moved features lose six logits": partial(said, effects=CAUSES["position"], penalty=6.0)}


PARTS: dict[str, Callable[[], dict[str, Work]]] = {
    "coverage": coverage_work,
    "shapes": lambda: {name: partial(ranges, world) for name, world in shape_worlds().items()},
    "type I": lambda: rejected(null_worlds()),
    "equal ranges": lambda: rejected(level_worlds()),
    "power": lambda: rejected(power_worlds()),
    "reports": lambda: {
        "five schemes that do not differ": null_reports,
        **{f"flat .70 and .05, {n} items": partial(blind_reports, World((0.7, 0.05), n)) for n in (60, 200)},
    },
    "origin": origin_work,
}
# Of each truth: a share of 5 % is told to within 1 point by 400 runs, of 95 % to within 1.5 points by 200.
RUNS = {"coverage": 200, "shapes": 200, "type I": 400, "equal ranges": 200, "power": 100, "reports": 120, "origin": 16}


def run(
    runs: Annotated[int, typer.Option(help="Simulated runs of every truth, at most; 0: as many as the page.")] = 0,
    part: Annotated[list[str] | None, typer.Option(help=f"Only these parts: {', '.join(PARTS)}.")] = None,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 1,
    again: Annotated[bool, typer.Option("--again", help="Also truths that the record holds.")] = False,
) -> None:
    """Plant truths, run the statistics on them, and keep how often they were right."""
    record: dict[str, Any] = STUDY.record()
    with ProcessPoolExecutor(jobs) as pool:
        for name in part or PARTS:
            count = min(runs or RUNS[name], RUNS[name])
            done = {} if again or record.get(name, {}).get("runs") != count else record[name]["found"]
            work = PARTS[name]()
            futures = {title: pool.submit(what, count) for title, what in work.items() if title not in done}
            for title, future in futures.items():
                start = time.monotonic()
                done[title] = future.result()
                record[name] = {"runs": count, "found": {title: done[title] for title in work if title in done}}
                STUDY.keep(record)
                typer.echo(f"{name}, {title}: {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    typer.run(run)
