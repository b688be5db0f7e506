"""Teaches the models further, asks them and keeps what was found; the same command goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from studies.aligned.run import FETCHED, Parts, Seeds
from studies.answers import written
from studies.coded import run as coded
from studies.coded.ask import learned
from studies.shuffled import reading
from studies.shuffled.ask import ARMS, ask
from studies.shuffled.page import STUDY
from studies.taught.run import known

HERE = Path(__file__).parent
FILES = HERE / "answers.parquet", HERE / "places.parquet", HERE / "moved.parquet"
Work = Annotated[Path, typer.Option(help="Where models and answers are kept.")]


def run(seeds: Seeds = None, parts: Parts = FETCHED, work: Work = Path("build/shuffled")) -> None:
    """Teach models to read places from their image tokens, and ask them under rules (needs npm)."""
    new = ask(parts, work, known(seeds, parts, work))
    its = found(*(written(path, table, ("seed",)) for path, table in zip(FILES, new, strict=True)))
    STUDY.keep({**its, "teaching": {**STUDY.record().get("teaching", {}), **learned(work, ARMS)}})


def found(shares: pd.DataFrame, placed: pd.DataFrame, moved: pd.DataFrame) -> dict[str, object]:
    """The record of these answers, beside those of the models before."""
    shares_before, placed_before, _ = map(pd.read_parquet, coded.FILES)
    return reading.record((shares_before, placed_before), (shares, placed, moved))
