"""From the answers under fitted rules to the endpoints of PLAN.md, beside what was answered before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.aligned.reading import together
from studies.fitted.ask import CONTROLS, FITTED, SIDE, Bed, Tables
from studies.words import knowing, reading
from studies.words.reading import HALVINGS, IN_EACH, RESAMPLES, Halves, estimate, spread

GOAL = 0.25  # of native's range
ASKED = (*FITTED.values(), *CONTROLS.values())
Array = NDArray[np.float64]
Maps = Mapping[str, Array]


def beyond(
    maps: Maps, other: str = "native", part: float = GOAL, rules: Sequence[str] = ASKED
) -> dict[str, dict[str, float]]:
    """By rule: how far the range lies above a ``part`` of that under the ``other`` rule; of native's, below zero the
    goal is reached.
    """
    pictures = len(maps["native"])
    counts = np.random.default_rng(0).multinomial(pictures, np.full(pictures, 1 / pictures), RESAMPLES).astype(float)
    whole, resampled = Halves.draw(np.ones((1, pictures)), HALVINGS, 1), Halves.draw(counts, IN_EACH, 2)
    found = {}
    for rule in rules:
        if rule in maps and rule != other:
            value, again = (
                spread(halves, maps[rule])[:, 0] - part * spread(halves, maps[other])[:, 0]
                for halves in (whole, resampled)
            )
            found[rule] = estimate(value.mean(), again.reshape(RESAMPLES, IN_EACH).mean(1))
    return found


def words(bed: Bed, new: Tables) -> dict[str, Any]:
    """All endpoints of grids of words: over the wordings, by wording, and of neighbours."""
    rules = (*bed.before, *FITTED.values())
    shares, known = _beside(bed.words, bed.before, new)
    maps = reading.read(shares, rules)
    found: dict[str, Any] = {name: reading.figures(its) for name, its in maps.items()}
    return {**found, "beyond": beyond(maps["all wordings"]), "known": knowing.figures(known, rules)}


def controls(bed: Bed, fitted: Tables, new: Tables) -> dict[str, Any]:
    """The same under shares of other schemes, beside the ``fitted`` ones of the shared position: PLAN-3.md."""
    asked = [pd.concat(tables, ignore_index=True) for tables in zip(fitted, new, strict=True)]
    rules = ("native", FITTED["words"], *CONTROLS.values())
    shares, known = _beside(bed.words, bed.before, (asked[0], asked[1]))
    maps = reading.read(shares, rules)["all wordings"]
    return {
        **reading.figures(maps),
        "beyond": beyond(maps),
        "above": beyond(maps, FITTED["words"], 1),
        "known": knowing.figures(known[known["scheme"].isin(rules)], rules),
    }


def larger(bed: Bed, new: Tables) -> dict[str, Any]:
    """The same of larger images, all rules asked anew."""
    rules = (*bed.before, FITTED["words"])
    maps = reading.read(new[0], rules)["all wordings"]
    return {**reading.figures(maps), "beyond": beyond(maps), "known": knowing.figures(new[1], rules)}


def pictures(bed: Bed, new: Tables) -> dict[str, Any]:
    """The same of pictures, by model and over models."""
    rules = (*bed.before, *FITTED.values())
    shares, known = _beside(bed.pictures, bed.before, new)
    models: dict[str, Any] = {}
    for seed in sorted(new[0]["seed"].unique()):
        maps = reading.read(shares[shares["seed"] == seed], rules)["all wordings"]
        its = knowing.figures(known[known["seed"] == seed], rules)
        models[str(seed)] = {**reading.figures(maps), "beyond": beyond(maps), "known": its}
    return {"models": models, "together": together(models)}


def _beside(files: tuple[Any, Any], rules: tuple[str, ...], new: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Answers given before under ``rules`` and the ``new`` ones; of words those with ``SIDE`` tokens along a side."""
    tables = []
    for path, answers in zip(files, new, strict=True):
        old = pd.read_parquet(path)
        old = old[old["scheme"].isin(rules)]
        if "side" in old:
            old = old[old["side"] == SIDE]
        tables.append(pd.concat([old, answers], ignore_index=True)[[*answers]])
    shares, known = tables
    return shares, known
