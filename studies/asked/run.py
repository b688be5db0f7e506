"""Teaches the models, asks them and keeps what was found; the same command goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from studies.aligned.run import FETCHED, Parts, Seeds
from studies.answers import written
from studies.asked import reading
from studies.asked.ask import ARMS, ask
from studies.asked.page import STUDY
from studies.coded.ask import learned
from studies.taught.run import known

ANSWERS = Path(__file__).parent / "answers.parquet"
Arms = Annotated[list[str] | None, typer.Option("--arm", help=f"One of {', '.join(ARMS)}; default: all; repeatable.")]
Work = Annotated[Path, typer.Option(help="Where models and answers are kept.")]


def run(seeds: Seeds = None, arms: Arms = None, parts: Parts = FETCHED, work: Work = Path("build/asked")) -> None:
    """Teach models of every arm to say whether a thing is there, and ask them in every cell (needs npm)."""
    wanted = chosen(arms)
    new = ask(parts, work, known(seeds, parts, work), wanted)
    found = reading.record(written(ANSWERS, new, ("seed", "arm")))
    kept = STUDY.record()
    STUDY.keep({**kept, **found, "teaching": {**kept.get("teaching", {}), **learned(work, ARMS)}})


def chosen(arms: Sequence[str] | None) -> Sequence[str]:
    """The arms asked for; one of which there is none is refused."""
    if other := [arm for arm in arms or () if arm not in ARMS]:
        raise typer.BadParameter(f"there is no arm {other[0]}; these are: {', '.join(ARMS)}")
    return arms or tuple(ARMS)
