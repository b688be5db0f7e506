"""Simulates the statistics of a run on planted truths and writes record.json.

python -m studies.coverage.run                 # the record, about a quarter of an hour on one core
python -m studies.coverage.run --runs 40       # a miniature
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bapa.stats import bias as statistics
from bapa.stats import comparisons, rates, significance
from bapa.stats.trials import Trials
from studies.coverage.planted import CELLS, World, over, steep, worlds

RECORD = Path(__file__).with_name("record.json")
ITEMS = (30, 60, 100, 200)
LEVEL = 0.95
Row = dict[str, Any]


def measured(found: list[Trials], member: Any, by: str) -> tuple[dict[str, Any], list[Row]]:
    """What a run would hold of two schemes ``a`` and ``b``, their tests of the place aside."""
    named = dict(zip("ab", found, strict=True))
    units = over(member, by)
    sample = statistics.sampled(named, units, rates.predictors(3, 3))
    maps = {label: statistics.mapped(label, scheme, sample, units) for label, scheme in named.items()}
    schemes: dict[str, Any] = {
        label: {**statistics.figures(label, scheme, sample, maps[label], 3, LEVEL), "tests": untested()}
        for label, scheme in named.items()
    }
    return schemes, comparisons.compare(schemes, sample, maps, LEVEL)["comparisons"]


def untested() -> dict[str, Any]:
    """What stands for the tests of the place, which take long."""
    return {"auc_range": {"p": None}, "range": {"p": None}}


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
    for number, rng in enumerate(_seeds(runs, seed)):
        trials, member = world.draw(rng)
        _, rows = measured(trials, member, by)
        for row in rows:
            if row["p"] is not None and row.get("cell", 4) == 4:
                name = f"{row['quantity']}{' of a cell' if 'cell' in row else ''}"
                found.setdefault(name, []).append(row["p"] < 1 - LEVEL)
        one, units = trials[0], over(member, by).of
        place = significance.range_of_means(one.hits, units, number, permutations=199)
        area = significance.range_of_areas(one.signal, one.noise, units, number, permutations=199)
        found.setdefault("place, hits", []).append((place["p"] or 1) < 1 - LEVEL + 1e-9)
        found.setdefault("place, AUC", []).append((area["p"] or 1) < 1 - LEVEL + 1e-9)
    return {name: round(float(np.mean(values)), 4) for name, values in found.items()}


def _seeds(runs: int, seed: int) -> Iterator[np.random.Generator]:
    yield from (np.random.default_rng([seed, run]) for run in range(runs))


def null_worlds() -> dict[str, World]:
    """Two schemes that do not differ, on a flat map: by wordings, and with items in classes."""
    plain = {f"{n} wordings": World((0.7, 0.7), 60, wordings=n) for n in (1, 2, 3, 5)}
    classes = {f"{n} classes of {200 // n}": World((0.7, 0.7), 200, groups=n) for n in (10, 20, 40)}
    return {**plain, **classes, "200 items": World((0.7, 0.7), 200)}


def level_worlds() -> dict[str, World]:
    """Two flat maps at different levels; two equal ranges turned upside down."""
    flats = {f"flat {a} and {b}, {n} items": World((a, b), n) for a, b in ((0.5, 0.97), (0.7, 0.05)) for n in (60, 200)}
    turned = World((steep(0.56, 0.8), steep(0.8, 0.56)), 100)
    return {**flats, "20 points, turned, 100 items": turned}


def power_worlds() -> dict[str, World]:
    """An uneven map against a flat one."""
    found = {}
    for points, low, high in ((20, 0.56, 0.8), (40, 0.4, 0.87)):
        for items in (60, 200):
            found[f"{points} points against flat, {items} items"] = World((steep(low, high), (low + high) / 2), items)
    return found


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "coverage": lambda runs: {
        **{name: coverage(world, runs) for name, world in worlds(ITEMS).items()},
        "flat, 3 wordings, 60 items": coverage(World((0.7, 0.7), 60, wordings=3), runs),
        "flat, 10 classes of 20": coverage(World((0.7, 0.7), 200, groups=10), runs),
        "20 points, 20 classes of 10": coverage(World((steep(0.56, 0.8),) * 2, 200, groups=20), runs),
    },
    "type I": lambda runs: {name: rejections(world, runs) for name, world in null_worlds().items()},
    "equal ranges": lambda runs: {name: rejections(world, runs) for name, world in level_worlds().items()},
    "power": lambda runs: {name: rejections(world, runs // 4) for name, world in power_worlds().items()},
}


def main() -> None:
    """Run the parts and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400, help="simulated runs of every truth")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; repeat for several")
    parser.add_argument("--out", type=Path, default=RECORD)
    given = parser.parse_args()
    found: dict[str, Any] = json.loads(given.out.read_text("utf-8")) if given.part and given.out.exists() else {}
    for name in given.part or PARTS:
        start = time.monotonic()
        found[name] = {"runs": given.runs, "cells": CELLS, "found": PARTS[name](given.runs)}
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
        given.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
