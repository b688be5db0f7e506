"""From the answers of models whose image tokens carry places to the endpoints of PLAN.md."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from studies.aligned.reading import together
from studies.coded.ask import ALL, CHANCE, FORMS, Tables
from studies.coded.fit import WAYS
from studies.fitted import places
from studies.fitted.reading import beyond
from studies.taught.ask import TAUGHT
from studies.taught.reading import GOALS, Array, Maps, gained
from studies.words import reading
from studies.words.reading import RESAMPLES, estimate

PLAIN, WITH = "without codes", "with codes"
COMPARED = ("bapa", "blend", "cross")  # rules that the models without codes were asked under
FITTED, REVERSED = WAYS
FITS = ((FITTED, "blend"), (FITTED, REVERSED))  # the fitted rule, and what it is held against
SPARED = ("row", "row and column")  # of columns, too little is known natively
WHOSE = ("row", "column", FORMS[-1])
Before = tuple[pd.DataFrame, pd.DataFrame]  # of the models without codes: shares of names, right answers about places


def record(before: Before, new: Tables) -> dict[str, Any]:
    """By model and over models the endpoints."""
    models = {}
    for seed in sorted(new[0]["seed"].unique()):
        plain, coded = ([table[table["seed"] == seed] for table in tables] for tables in (before, new))
        names, where = plain
        models[str(seed)] = figures((names, where[where["model"] == TAUGHT]), (coded[0], coded[1], coded[2]))
    return {"models": models, "together": together(models)}


def figures(before: Before, new: Tables) -> dict[str, Any]:
    """The endpoints of one model."""
    shares, placed, moved = new
    maps = {rule: reading.averaged(shares[shares["rule"] == rule]) for rule in ALL}
    old = reading.averaged(before[0][before[0]["rule"] == "native"])
    where = _where(before[1].assign(model=PLAIN), placed.assign(model=WITH))
    known = {model: places.figures(rows, _asked(rows)) for model, rows in where.groupby("model")}
    its = reading.figures(maps)
    plain = reading.figures({"native": old, "coded": maps["native"]})["rules"]
    return {
        "rules": its["rules"],
        "p uneven": its["p uneven"],
        "goals": {name: beyond(maps, part=part, rules=ALL[1:]) for name, part in GOALS.items()},
        "places": known[WITH],
        "codes": {
            PLAIN: plain["native"],
            "change": {**plain["coded"]["change"], **gained(where, (PLAIN, "native"), (WITH, "native"))},
            "places": known[PLAIN]["native"],
        },
        "spared": {rule: spared(where, rule) for rule in COMPARED},
        "control": _less(maps, "cross of reverse", "cross"),
        "fits": {
            f"{rule}, not {other}": {**_less(maps, other, rule), **gained(where, (WITH, other), (WITH, rule), CHANCE)}
            for rule, other in FITS
        },
        "whose": whose(moved),
    }


def spared(where: pd.DataFrame, rule: str) -> dict[str, dict[str, float]]:
    """How much more of what is known natively a rule keeps where image tokens carry places, picture by picture."""
    pictures = where["grid"].nunique()
    counts = np.random.default_rng(0).multinomial(pictures, np.full(pictures, 1 / pictures), RESAMPLES)

    def kept(model: str, what: str) -> tuple[float, Array]:
        its = where[(where["model"] == model) & (where["what"] == what)]
        table = its.pivot(index="grid", columns="scheme", values="right").astype(float)
        mine, native = (table[one].to_numpy() - CHANCE[what] for one in (rule, "native"))
        return float(mine.mean() / native.mean()), (counts @ mine) / (counts @ native)

    found = {}
    for what in SPARED:
        (value, again), (before, others) = kept(WITH, what), kept(PLAIN, what)
        found[what] = estimate(value - before, again - others)
    return found


def _where(*tables: pd.DataFrame) -> pd.DataFrame:
    """Right answers with the columns that the readings of other studies have."""
    columns = ["model", "rule", "what", "picture", "right"]
    return pd.concat(tables)[columns].rename(columns={"rule": "scheme", "picture": "grid"})


def _asked(rows: pd.DataFrame) -> dict[str, float]:
    return {what: chance for what, chance in CHANCE.items() if what in set(rows["what"])}


def _less(maps: Maps, other: str, rule: str) -> dict[str, Any]:
    """The map under ``rule`` less that under the ``other``."""
    return dict(reading.figures({"native": maps[other], rule: maps[rule]})["rules"][rule]["change"])


def whose(moved: pd.DataFrame) -> dict[str, Any]:
    """By rule and what is asked: right by where a thing stands, by its codes, and by codes less by standing."""
    found: dict[str, Any] = {}
    for (rule, what), rows in moved[moved["what"].isin(WHOSE)].groupby(["rule", "what"]):
        table = rows.pivot(index="picture", columns="of", values="right").astype(float)
        table["codes ahead"] = table["coded"] - table["stands"]
        counts = np.random.default_rng(0).multinomial(len(table), np.full(len(table), 1 / len(table)), RESAMPLES)
        found.setdefault(str(rule), {})[what] = {
            name: estimate(float(its.mean()), counts @ its.to_numpy() / len(its)) for name, its in table.items()
        }
    return found
