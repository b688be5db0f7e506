"""Tunes the models on names and places, asks them and keeps what was found; the same command goes on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from studies.aligned.run import FETCHED, Parts, Seeds
from studies.answers import written
from studies.coded import run as coded
from studies.coded.ask import learned
from studies.mixed import carried, moved, reading
from studies.mixed.ask import ARMS, ask
from studies.mixed.page import STUDY
from studies.shuffled import run as shuffled
from studies.taught.run import known

HERE = Path(__file__).parent
FILES = HERE / "answers.parquet", HERE / "places.parquet", HERE / "moved.parquet"
Work = Annotated[Path, typer.Option(help="Where models and answers are kept.")]


def run(seeds: Seeds = None, parts: Parts = FETCHED, work: Work = Path("build/mixed")) -> None:
    """Tune models on names and places at once, natively and under a shared position, and ask them (needs npm)."""
    those = known(seeds, parts, work)
    new = (*ask(parts, work, those)[:2], moved.ask(parts, work, those))
    its = found(*(written(path, table, ("seed",)) for path, table in zip(FILES, new, strict=True)))
    STUDY.keep({**its, "teaching": {**STUDY.record().get("teaching", {}), **learned(work, ARMS)}})


def found(shares: pd.DataFrame, placed: pd.DataFrame, elsewhere: pd.DataFrame) -> dict[str, object]:
    """The record of these answers, beside those of the models before and of those tuned on places alone.
    ``elsewhere``: the answers where something was moved.
    """
    rules = set(shares["rule"])
    before, alone = (tuple(map(pd.read_parquet, study.FILES[:2])) for study in (coded, shuffled))
    others = {reading.BEFORE: _picked(before, "rule", rules)}
    for arm, name in reading.PLACES.items():
        its = _picked(alone, "arm", {arm})
        others |= {name: its} if len(its[0]) else {}
    return {**reading.record(others, (shares, placed)), "moved": carried.record(shares, elsewhere)}


def _picked(tables: Iterable[pd.DataFrame], column: str, values: set[str]) -> reading.Answers:
    """The rows with one of the ``values``."""
    names, places = (table[table[column].isin(values)] for table in tables)
    return names, places
