"""An answer and where it was found, scored together: right only where both are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bapa.probe.slots import Slots
from bapa.stats.bias import Settings, bias

KIND = "together"
_OF = ["item", "cell", "scheme"]


def statistics(
    answers: pd.DataFrame, slots: Slots, settings: Settings, *, question_first: bool = False
) -> dict[str, Any] | None:
    """The statistics of answer and place together, as ``bias.json`` holds those of the answers; None where the probe
    does not ask for both. ``answers``: the columns of ``answers.parquet``; ``question_first``: the question stands
    before the image.
    """
    joined = together(answers)
    if joined is None:
        return None
    return bias(joined, rows=slots.rows, cols=slots.cols, question_first=question_first, settings=settings)


def together(answers: pd.DataFrame) -> pd.DataFrame | None:
    """One row for each item, slot and scheme: ``correct``, float64, is 1 where the question about what is there was
    answered rightly in every wording, and its place was named rightly. NaN where one of these was not read. None where
    the probe does not ask for both.
    """
    wanted = (answers["kind"] == "present") | answers["kind"].str.startswith("where")
    if answers.loc[wanted, "kind"].nunique() < 2 or not (answers["kind"] == "present").any():
        return None
    asked = answers[wanted].assign(correct=answers["correct"].astype("boolean"))
    groups = asked.groupby(_OF, sort=False)
    joined = groups.first().reset_index()
    right = groups["correct"].agg(lambda found: pd.NA if found.isna().any() else bool(found.all()))
    joined["correct"] = right.astype("Float64").to_numpy(float, na_value=np.nan)
    return joined.assign(question=KIND, kind=KIND, margin=float("nan"), mass=float("nan"), top=None)
