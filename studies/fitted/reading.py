"""From the answers under fitted rules to the endpoints of PLAN.md, beside what was answered before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.aligned.reading import together
from studies.fitted.ask import FITTED, SIDE, Bed, Tables
from studies.words import knowing, reading
from studies.words.reading import HALVINGS, IN_EACH, RESAMPLES, Halves, estimate, spread

GOAL = 0.25  # of native's range
Array = NDArray[np.float64]
Maps = Mapping[str, Array]


def beyond(maps: Maps) -> dict[str, dict[str, float]]:
    """By fitted rule: how far the range lies above ``GOAL`` of native's; below zero the goal is reached."""
    pictures = len(maps["native"])
    counts = np.random.default_rng(0).multinomial(pictures, np.full(pictures, 1 / pictures), RESAMPLES).astype(float)
    whole, resampled = Halves.draw(np.ones((1, pictures)), HALVINGS, 1), Halves.draw(counts, IN_EACH, 2)
    found = {}
    for rule in FITTED.values():
        if rule in maps:
            value, again = (
                spread(halves, maps[rule])[:, 0] - GOAL * spread(halves, maps["native"])[:, 0]
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
