"""Teaches the models, asks them and keeps what was found; the same command goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from studies.aligned import run as aligned
from studies.aligned.ask import SEEDS
from studies.aligned.run import FETCHED, Parts, Seeds
from studies.pretrained.parts import install
from studies.taught import reading
from studies.taught.ask import Tables, ask
from studies.taught.page import STUDY

HERE = Path(__file__).parent
FILES = HERE / "answers.parquet", HERE / "places.parquet"
_TYPES = {"seed": "int8", "wording": "int8", "picture": "int16", "cell": "int8", "share": "float32", "right": "float32"}


def run(
    seeds: Seeds = None,
    parts: Parts = FETCHED,
    work: Annotated[Path, typer.Option(help="Where models and answers are kept.")] = Path("build/taught"),
) -> None:
    """Teach models that nobody biased rows and columns, and ask them under every rule (needs npm)."""
    if other := [seed for seed in seeds or () if seed not in SEEDS]:
        raise typer.BadParameter(f"there is no model {other[0]}; these are: {', '.join(map(str, SEEDS))}")
    parts.mkdir(parents=True, exist_ok=True)
    install(parts)
    STUDY.keep(found(_kept(ask(parts, work, seeds or SEEDS))))


def found(new: Tables) -> dict[str, object]:
    """The record of these answers."""
    return reading.record(pd.read_parquet(aligned.SHARES), new)


def _kept(tables: Tables) -> Tables:
    """What the files hold once ``tables`` are written into them: numbers lose digits on the way."""
    for path, table in zip(FILES, tables, strict=True):
        small: pd.DataFrame = table.astype({column: kind for column, kind in _TYPES.items() if column in table})
        small.to_parquet(path, compression="zstd", index=False)
    shares, placed = map(pd.read_parquet, FILES)
    return shares, placed
