"""An answer and where it was found, scored together: right only where both are."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bapa.probe.slots import Slots
from bapa.stats.bias import Settings, bias

KIND = "together"
_OF = ["item", "cell", "scheme"]


def statistics(answers: pd.DataFrame, slots: Slots, settings: Settings) -> dict[str, Any] | None:
    """The statistics of answer and place together, as ``bias.json`` holds those of the answers; None where the probe
    does not ask for both. ``answers``: the columns of ``answers.parquet``.
    """
    joined = together(answers)
    return None if joined is None else bias(joined, rows=slots.rows, cols=slots.cols, settings=settings)


def together(answers: pd.DataFrame) -> pd.DataFrame | None:
    """One row for each item, slot and scheme: ``correct`` where the question about what is there was answered rightly
    in every wording, and its place was named rightly. Missing where one of these failed. None where the probe does not
    ask for both.
    """
    wanted = (answers["kind"] == "present") | answers["kind"].str.startswith("where")
    if answers.loc[wanted, "kind"].nunique() < 2 or not (answers["kind"] == "present").any():
        return None
    asked = answers[wanted].assign(correct=answers["correct"].astype("boolean"))
    groups = asked.groupby(_OF, sort=False)
    joined = groups.first().reset_index()
    right = groups["correct"].agg(lambda found: pd.NA if found.isna().any() else bool(found.all()))
    joined["correct"] = right.to_numpy()
    return joined.assign(question=KIND, kind=KIND, margin=float("nan"), mass=float("nan"), top=None)
