"""Answers to the moves of `bapa origin` with planted causes, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bapa.origin import attribution, verdict
from bapa.origin.attribution import Answers
from bapa.origin.moves import conditions, torn
from bapa.stats import Settings
from bapa.stats.significance import place_test
from bapa.stats.trials import Array

CELLS, DRAWS = 9, 2
QUICK = Settings(resamples=200)
RULES = ("native", "bapa:distance=native", "reverse")
SKEW = np.array([-3.0, -3, -3, 0, 0, 0, 3, 3, 3])
# What carries the spread of the native map, in logits from its first to its last row.
CAUSES: dict[str, dict[str, Array]] = {
    "encoder": {"encoder": SKEW},
    "position": {"position": SKEW},
    "order": {"order": SKEW},
    "half encoder, half position": {"encoder": SKEW / 2, "position": SKEW / 2},
    "half position, half order": {"position": SKEW / 2, "order": SKEW / 2},
    "position, the encoder against it": {"position": 1.4 * SKEW, "encoder": -0.4 * SKEW},
    "nothing": {},
}


def planted(
    effects: Mapping[str, Array], items: int = 80, seed: int = 0, noise: float = 1.0, penalty: float = 0.0
) -> Answers:
    """Answers of a model whose margin is a sum of effects of the three cells, an item's ease and noise. ``penalty``:
    what features lose that stand at the position of another cell.
    """
    rng = np.random.default_rng(seed)
    ease = rng.normal(0, 1, items)
    wanted = conditions(RULES, DRAWS)
    frames = []
    for condition in wanted:
        place = torn(condition.move, np.arange(items), condition.draw, DRAWS, CELLS)
        if condition.scheme == "reverse":
            place["position"] = CELLS - 1 - place["position"]
        if condition.scheme.startswith("bapa"):
            place["position"] = np.full((items, CELLS), CELLS // 2)
        for kind, level in (("present", 1.0), ("absent", -4.0)):
            margin = level + ease[:, None] + noise * rng.logistic(size=(items, CELLS))
            if kind == "present":
                margin = margin + sum(effect[place[factor]] for factor, effect in effects.items())
                margin = margin - penalty * (place["encoder"] != place["position"])
            item, cell = (axis.ravel() for axis in np.mgrid[:items, :CELLS])
            columns = {"item": item, "cell": cell, "question": kind, "kind": kind, "scheme": condition.label}
            right = (margin.ravel() > 0) == (kind == "present")
            frames.append(pd.DataFrame({**columns, "margin": margin.ravel(), "correct": right}))
    return Answers.read(pd.concat(frames, ignore_index=True), CELLS, wanted, DRAWS)


def decided(answers: Answers, moved: str = "features") -> dict[str, object]:
    """The verdict on hits, with the check of what moving alone costs."""
    spread = place_test(answers.trials["native"].hits, 0)
    found = verdict.decide(attribution.shares(answers, "hit", moved, QUICK), spread, QUICK.level)
    return verdict.tolerated(found, attribution.penalties(answers, QUICK))


def said(runs: int, effects: Mapping[str, Array], penalty: float = 0.0) -> dict[str, float]:
    """How often each cause is named, and how often a factor is named as working against the map."""
    counts: dict[str, float] = {}
    for seed in range(runs):
        found = decided(planted(effects, seed=seed, noise=1.5, penalty=penalty))
        name = str(found["detail"] or found["cause"])
        alone = " alone" if found["alone"] and found["cause"] in ("encoder", "language model") else ""
        counts[name + alone] = counts.get(name + alone, 0) + 1 / runs
        for factor in found["opposing"]:  # type: ignore[attr-defined]
            counts[f"against it {factor}"] = counts.get(f"against it {factor}", 0) + 1 / runs
    return {**dict(sorted(counts.items())), "runs": runs}
