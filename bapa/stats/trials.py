"""The answers of one scheme as arrays over items and cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ABSENT = ("absent", "near_miss")  # kinds of questions about what is not in the picture

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trials:
    """Answers of one scheme.

    All arrays are float64 (items, cells, questions), NaN where there is no answer. ``hits``: 1 where a question about
    what is in the picture (whatever it asks) was answered rightly. ``alarms``: 1 where a question about what is not
    there was answered as if it were (near misses among them); ``near``: the near misses alone. ``signal`` and
    ``noise``: the margins behind ``hits`` and ``alarms``.
    """

    hits: Array
    alarms: Array
    near: Array
    signal: Array
    noise: Array

    @property
    def items(self) -> int:
        return self.hits.shape[0]

    @property
    def cells(self) -> int:
        return self.hits.shape[1]


def read(answers: pd.DataFrame, cells: int) -> dict[str, Trials]:
    """The trials of each scheme, in the order in which the schemes stand in ``answers``.

    ``answers``: columns item, cell, question, kind, scheme, correct, margin; ``correct`` is missing where the run
    failed. The item axis is the same for all schemes.
    """
    items, names = pd.factorize(answers["item"])
    frame = pd.DataFrame(
        {
            "item": items,
            "cell": answers["cell"].to_numpy(),
            "correct": answers["correct"].astype("float64").to_numpy(),
            "margin": answers["margin"].astype("float64").to_numpy(),
        }
    )
    kind = answers["kind"]
    order = answers["question"].to_numpy()
    found = {}
    for scheme in dict.fromkeys(answers["scheme"]):
        here = (answers["scheme"] == scheme).to_numpy()
        asked = {
            "present": here & ~kind.isin(ABSENT).to_numpy(),
            "absent": here & kind.isin(ABSENT).to_numpy(),
            "near": here & (kind == "near_miss").to_numpy(),
        }
        spread = {name: _spread(frame[rows], order[rows], (len(names), cells)) for name, rows in asked.items()}
        (hits, signal), (refused, noise), (spared, _) = spread.values()
        found[scheme] = Trials(hits, 1 - refused, 1 - spared, signal, noise)
    return found


def _spread(rows: pd.DataFrame, question: NDArray, shape: tuple[int, int]) -> tuple[Array, Array]:
    """``correct`` and ``margin`` by item, cell and slot; the n-th question of an item at a cell has slot n, so items
    may have their own.
    """
    rows = rows.iloc[np.lexsort((question, rows["cell"], rows["item"]))]
    slot = rows.groupby(["item", "cell"], sort=False).cumcount().to_numpy()
    correct, margin = (np.full((*shape, int(slot.max(initial=-1)) + 1), np.nan) for _ in range(2))
    correct[rows["item"], rows["cell"], slot] = rows["correct"]
    margin[rows["item"], rows["cell"], slot] = rows["margin"]
    return correct, margin
