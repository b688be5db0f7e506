"""Teaches the models, asks them and keeps what was found; the same command goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from studies.aligned.ask import ALIGNED, Reader
from studies.aligned.run import FETCHED, Parts, Seeds
from studies.answers import written
from studies.coded import reading
from studies.coded.ask import ARMS, NATIVELY, ask, learned, pupil
from studies.coded.fit import FITS, WAYS, fitted_to
from studies.coded.page import STUDY
from studies.taught import run as taught
from studies.taught.fit import lacking
from studies.taught.run import known

HERE = Path(__file__).parent
FILES = HERE / "answers.parquet", HERE / "places.parquet", HERE / "moved.parquet"
Work = Annotated[Path, typer.Option(help="Where models and answers are kept.")]
BUILD = Path("build/coded")


def fit(seeds: Seeds = None, parts: Parts = FETCHED, work: Work = BUILD) -> None:
    """Teach models whose image tokens carry places where things stand, and fit rules to them (needs npm)."""

    def fitted(way: str, seed: int) -> str:
        untaught = Reader.of(ALIGNED, parts, work.parent / "aligned", seed)
        return fitted_to(pupil(untaught, work, seed, NATIVELY), work, way, seed)

    lacking(FITS, WAYS, known(seeds, parts, work), fitted)


def run(seeds: Seeds = None, parts: Parts = FETCHED, work: Work = BUILD) -> None:
    """Teach models whose image tokens carry places where things stand, and ask them under rules (needs npm)."""
    new = ask(parts, work, known(seeds, parts, work))
    its = found(*(written(path, table, ("seed",)) for path, table in zip(FILES, new, strict=True)))
    STUDY.keep({**its, "teaching": {**STUDY.record().get("teaching", {}), **learned(work, ARMS)}})


def found(shares: pd.DataFrame, places: pd.DataFrame, moved: pd.DataFrame) -> dict[str, object]:
    """The record of these answers, beside those of the models without codes."""
    shares_before, places_before = map(pd.read_parquet, taught.FILES)
    return reading.record((shares_before, places_before), (shares, places, moved))
