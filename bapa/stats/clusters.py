"""What counts as one independent observation: an item, or all items that share a caption, a class, a source picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bapa.errors import ConfigError

Cluster = Literal["auto", "item", "picture", "caption", "group"]
NAMES = {  # of one and of several
    "item": ("item", "items"),
    "group": ("class", "classes"),
    "caption": ("caption", "captions"),
    "picture": ("source picture", "source pictures"),
}
LEAST = 10  # clusters that carry an interval; with fewer, Student's t has too few degrees of freedom to tell anything
_COARSE_FIRST = ("group", "caption", "picture")


@dataclass(frozen=True)
class Clusters:
    """``by``: what items of one cluster share. ``of``: the cluster of each item, (items,) int64, from 0 on.
    ``classes``: the class of each item, (items,), empty text where it has none.
    """

    by: str
    of: NDArray[np.int64]
    classes: NDArray[np.str_]

    @property
    def count(self) -> int:
        return int(self.of.max(initial=-1)) + 1


def clusters(answers: pd.DataFrame, by: Cluster = "auto") -> Clusters:
    """The clusters of the items in ``answers``, in the order in which they first stand there.

    ``auto``: the coarsest of class (column ``group``), ``caption`` and source ``picture`` that repeats and has at least
    :data:`LEAST` values; items where none does. Answers of older runs lack these columns and have items only.

    Raises ConfigError where the answers do not have what is asked for.
    """
    first = answers.drop_duplicates("item")
    classes = _column(first, "group")
    if by == "item":
        return Clusters("item", np.arange(len(first)), classes)
    for name in _COARSE_FIRST if by == "auto" else (by,):
        values = _column(first, name)
        number, found = pd.factorize(values)
        if "" in found or (by == "auto" and not LEAST <= len(found) < len(first)):
            continue
        return Clusters(name, number.astype(np.int64), classes)
    if by != "auto":
        raise ConfigError(f"cluster = {by!r}: these answers do not name the {by} of their items; use auto or item")
    return Clusters("item", np.arange(len(first)), classes)


def _column(frame: pd.DataFrame, name: str) -> NDArray[np.str_]:
    values = frame[name].fillna("") if name in frame else pd.Series("", frame.index)
    return values.to_numpy(str)
