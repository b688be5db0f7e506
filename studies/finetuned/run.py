"""Tunes the models, asks them and keeps what was found; the same command goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from studies.aligned import run as aligned
from studies.aligned.ask import SEEDS
from studies.aligned.run import FETCHED, Parts, Seeds
from studies.answers import written
from studies.finetuned import reading
from studies.finetuned.ask import PLACEMENTS, Tables, ask
from studies.finetuned.page import STUDY
from studies.pretrained.parts import install

HERE = Path(__file__).parent
FILES = HERE / "answers.parquet", HERE / "neighbours.parquet"


def run(
    seeds: Seeds = None,
    parts: Parts = FETCHED,
    work: Annotated[Path, typer.Option(help="Where models and answers are kept.")] = Path("build/finetuned"),
) -> None:
    """Tune models that nobody biased, natively and under bapa, and ask them where they look (needs npm)."""
    if other := [seed for seed in seeds or () if seed not in SEEDS]:
        raise typer.BadParameter(f"there is no model {other[0]}; these are: {', '.join(map(str, SEEDS))}")
    parts.mkdir(parents=True, exist_ok=True)
    install(parts)
    new = ask(parts, work, PLACEMENTS, seeds or SEEDS)
    shares, others = (written(path, table, ("data", "seed")) for path, table in zip(FILES, new, strict=True))
    STUDY.keep(found((shares, others)))


def found(new: Tables) -> dict[str, object]:
    """The record of these answers."""
    return reading.record(pd.read_parquet(aligned.SHARES), new)
