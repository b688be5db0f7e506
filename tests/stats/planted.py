"""Answers with a planted bias: what the statistics must find in them is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

FALSE_ALARM = 0.05


def answers(
    schemes: Mapping[str, float | Sequence[float]], items: int, *, seed: int = 0, spread: float = 1.0, cells: int = 9
) -> pd.DataFrame:
    """Answers to one present, one absent and one near-miss question per item and cell.

    ``schemes``: label -> hit rate of an average item, per cell. ``spread``: standard deviation of how easy items are,
    in logits; an item is as easy in every cell and under every scheme. Margins are logistic.
    """
    rng = np.random.default_rng(seed)
    ease = rng.normal(0, spread, (items, 1))
    item, cell = (axis.ravel() for axis in np.mgrid[:items, :cells])
    frames = []
    for scheme, rate in schemes.items():
        for kind in ("present", "absent", "near_miss"):
            centre = logit(np.broadcast_to(rate, cells)) + ease if kind == "present" else logit(FALSE_ALARM)
            margin = (rng.logistic(size=(items, cells)) + centre).ravel()
            frames.append(
                pd.DataFrame(
                    {"item": item, "cell": cell, "question": kind, "kind": kind, "scheme": scheme}
                    | {"margin": margin, "correct": (margin > 0) == (kind == "present")}
                )
            )
    return pd.concat(frames, ignore_index=True)


def true_rates(rate: float | Sequence[float], spread: float = 1.0, cells: int = 9) -> NDArray[np.float64]:
    """The hit rate per cell in the population that :func:`answers` draws items from."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    odds = logit(np.broadcast_to(rate, cells))[:, None] + spread * nodes
    return (1 / (1 + np.exp(-odds))) @ weights / weights.sum()
