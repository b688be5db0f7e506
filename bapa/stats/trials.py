"""The answers of one scheme as arrays over items and cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ABSENT = ("absent", "near_miss", "lure")  # kinds of questions about what is not in the picture
LURE = "lure"  # about what nearly is in the target's cell, and nowhere else

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trials:
    """Answers of one scheme.

    All arrays are float64 (items, cells, questions), NaN where there is no answer. ``hits``: 1 where a question about
    what is in the picture (whatever it asks) was answered rightly. ``alarms``: 1 where a question about what is not
    there was answered as if it were; these are the lures, which belong to the target's cell, where the probe has them,
    else all questions about what is absent. ``signal`` and ``noise``: the margins behind ``hits`` and ``alarms``.
    ``near`` and ``absent``: alarms of near misses, and of what is unlike anything shown. ``mass``: probability that the
    model gave to the answers it may choose from, of all questions.
    """

    hits: Array
    alarms: Array
    near: Array
    absent: Array
    signal: Array
    noise: Array
    mass: Array

    @property
    def items(self) -> int:
        return self.hits.shape[0]

    @property
    def cells(self) -> int:
        return self.hits.shape[1]


def read(answers: pd.DataFrame, cells: int) -> dict[str, Trials]:
    """The trials of each scheme, in the order in which the schemes stand in ``answers``.

    ``answers``: columns item, cell, question, kind, scheme, correct, margin, and mass where it is known; ``correct``
    is missing where the run failed. The item axis is the same for all schemes.
    """
    items, names = pd.factorize(answers["item"])
    mass = answers["mass"] if "mass" in answers else pd.Series(np.nan, answers.index)
    cell, question = answers["cell"].to_numpy(), answers["question"].to_numpy()
    columns = {
        name: column.astype("float64").to_numpy()
        for name, column in {"correct": answers["correct"], "margin": answers["margin"], "mass": mass}.items()
    }
    kind = answers["kind"]
    matched = (LURE,) if (kind == LURE).any() else ABSENT
    asked = {
        "present": is_present(kind),
        "matched": kind.isin(matched),
        "near": kind == "near_miss",
        "absent": kind == "absent",
        "all": pd.Series(True, answers.index),
    }
    # Once for all schemes and columns: searches read many candidates, and sorting is what takes the time.
    order = np.lexsort((question, cell, items))
    items, cell = items[order], cell[order]
    columns = {name: column[order] for name, column in columns.items()}
    asked = {name: its.to_numpy()[order] for name, its in asked.items()}
    schemes = answers["scheme"].to_numpy()[order]
    found = {}
    for scheme in dict.fromkeys(answers["scheme"]):
        here = schemes == scheme

        def spread(kinds: str, *wanted: str, here: NDArray[np.bool_] = here) -> list[Array]:
            rows = here & asked[kinds]
            return _spread(items[rows], cell[rows], [columns[name][rows] for name in wanted], (len(names), cells))

        hits, signal = spread("present", "correct", "margin")
        refused, noise = spread("matched", "correct", "margin")
        (near,), (absent,), (share,) = spread("near", "correct"), spread("absent", "correct"), spread("all", "mass")
        found[scheme] = Trials(hits, 1 - refused, 1 - near, 1 - absent, signal, noise, share)
    return found


def is_present(kind: pd.Series) -> pd.Series:
    """Which questions are about what is in the picture, of all that were asked. Beside a question by yes and no, where
    the target stands is a question of its own (measure.together).
    """
    return kind == "present" if (kind == "present").any() else ~kind.isin(ABSENT)


def counted(answers: pd.DataFrame) -> pd.DataFrame:
    """The rows that the figures go by: about what is there and about what is not."""
    return answers[is_present(answers["kind"]) | answers["kind"].isin(ABSENT)]


def _spread(item: NDArray, cell: NDArray, columns: Sequence[Array], shape: tuple[int, int]) -> list[Array]:
    """Each of ``columns`` by item, cell and slot; the n-th question of an item at a cell has slot n, so items may have
    their own. Rows come sorted by item, cell and question.
    """
    place = np.arange(len(item))
    first = np.ones(len(item), bool)
    first[1:] = (item[1:] != item[:-1]) | (cell[1:] != cell[:-1])
    slot = place - np.maximum.accumulate(np.where(first, place, 0))
    spread = []
    for column in columns:
        values = np.full((*shape, int(slot.max(initial=-1)) + 1), np.nan)
        values[item, cell, slot] = column
        spread.append(values)
    return spread
