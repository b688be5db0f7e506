"""Tunes the models, asks them and keeps what was found; the same command goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from studies.aligned import run as aligned
from studies.aligned.ask import SEEDS
from studies.aligned.run import FETCHED, Parts, Seeds
from studies.finetuned import reading
from studies.finetuned.ask import PLACEMENTS, Tables, ask
from studies.finetuned.page import STUDY
from studies.pretrained.parts import install

HERE = Path(__file__).parent
FILES = HERE / "answers.parquet", HERE / "neighbours.parquet"
_TYPES = {"seed": "int8", "wording": "int8", "form": "int8", "picture": "int16", "cell": "int8"}


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
    STUDY.keep(found(_kept(ask(parts, work, PLACEMENTS, seeds or SEEDS))))


def found(new: Tables) -> dict[str, object]:
    """The record of these answers."""
    return reading.record(pd.read_parquet(aligned.SHARES), new)


def _kept(tables: Tables) -> Tables:
    """What the files hold once ``tables`` are written into them: numbers lose digits on the way."""
    for path, table in zip(FILES, tables, strict=True):
        value = "share" if "share" in table else "auc"
        small: pd.DataFrame = table.astype({column: kind for column, kind in _TYPES.items() if column in table})
        small.astype({value: "float32"}).to_parquet(path, compression="zstd", index=False)
    shares, known = map(pd.read_parquet, FILES)
    return shares, known
