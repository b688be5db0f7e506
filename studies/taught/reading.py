"""From the answers of taught models to the endpoints of PLAN.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.aligned.reading import together
from studies.fitted import places
from studies.fitted.ask import FITTED
from studies.fitted.reading import beyond
from studies.taught.ask import ALL, TAUGHT, UNTAUGHT, Tables
from studies.taught.fit import WAYS
from studies.words import reading
from studies.words.reading import RESAMPLES, estimate

GOALS = {"quarter": 0.25, "half": 0.5}  # of native's range
_GUARDED, _FREE, _REVERSED = WAYS
COMPARED = ((_GUARDED, _FREE), (_GUARDED, _REVERSED))
Array = NDArray[np.float64]
Maps = Mapping[str, Array]  # by rule: the shares of every picture and cell, (pictures, 9)


def record(before: pd.DataFrame, new: Tables) -> dict[str, Any]:
    """By model and over models the endpoints. ``before``: shares of the models that were not taught."""
    shares, placed = new
    models: dict[str, Any] = {}
    for seed, its in shares.groupby("seed"):
        maps = {rule: reading.averaged(its[its["rule"] == rule]) for rule in ALL}
        old = reading.averaged(before[(before["seed"] == seed) & (before["scheme"] == "native")])
        models[str(seed)] = figures(old, maps, placed[placed["seed"] == seed])
    return {"models": models, "together": together(models)}


def figures(old: Array, maps: Maps, placed: pd.DataFrame) -> dict[str, Any]:
    """The endpoints of one model. ``old``: its map before it was taught, natively; ``placed``: right answers."""
    its = reading.figures(maps)
    taught = reading.figures({"native": old, TAUGHT: maps["native"]})["rules"]
    named = placed.rename(columns={"picture": "grid", "rule": "scheme"})
    known = {model: places.figures(named[named["model"] == model]) for model in (UNTAUGHT, TAUGHT)}
    return {
        "rules": its["rules"],
        "p uneven": its["p uneven"],
        "teaching": {UNTAUGHT: taught["native"], TAUGHT: taught[TAUGHT]},
        "goals": {name: beyond(maps, part=part, rules=ALL[1:]) for name, part in GOALS.items()},
        "untaught": known[UNTAUGHT]["native"],
        "places": known[TAUGHT],
        "learned": gained(named, (UNTAUGHT, "native"), (TAUGHT, "native")),
        "fits": {
            f"{rule}, not {other}": {
                **reading.figures({"native": maps[other], rule: maps[rule]})["rules"][rule]["change"],
                **gained(named, (TAUGHT, other), (TAUGHT, rule)),
            }
            for rule, other in COMPARED
        },
        "blend ahead": {seen: gained(named, (TAUGHT, seen), (TAUGHT, "blend")) for seen in FITTED.values()},
    }


def gained(
    placed: pd.DataFrame, of: tuple[str, str], to: tuple[str, str], asked: Iterable[str] = places.CHANCE
) -> dict[str, Any]:
    """How many more answers are right, by what is ``asked``, from one model and rule to another, picture by picture."""
    table = placed.pivot(index="grid", columns=["model", "scheme", "what"], values="right").astype(float)
    counts = np.random.default_rng(0).multinomial(len(table), np.full(len(table), 1 / len(table)), RESAMPLES)
    more = {what: (table[(to[0], to[1], what)] - table[(of[0], of[1], what)]).to_numpy() for what in asked}
    return {what: estimate(float(its.mean()), counts @ its / len(its)) for what, its in more.items()}
