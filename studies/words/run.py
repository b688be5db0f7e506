"""Asks every rule and keeps what was found; the same command goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from studies.pretrained.parts import install
from studies.words.ask import AT, PICTURES, RULES, ask
from studies.words.page import STUDY
from studies.words.reading import record

ANSWERS = Path(__file__).parent / "answers.parquet"


def run(
    rules: Annotated[list[str] | None, typer.Option("--rule", help="Only this one; repeatable. [default: all]")] = None,
    sides: Annotated[
        list[int] | None,
        typer.Option("--side", help="Tokens along a side of an image, 9 or 24; repeatable. [default: both]"),
    ] = None,
    parts: Annotated[Path, typer.Option(help="Where the pretrained parts lie; fetched where they are missing.")] = Path(
        "build/pretrained/parts"
    ),
    work: Annotated[Path, typer.Option(help="Where answers are kept.")] = Path("build/words"),
) -> None:
    """Let the pretrained language model read grids of words under every rule (needs npm for the names of things)."""
    if unknown := [rule for rule in rules or () if rule not in RULES]:
        raise typer.BadParameter(f"{unknown[0]!r} is not asked here; these are: {', '.join(RULES)}")
    if other := [side for side in sides or () if side not in PICTURES]:
        raise typer.BadParameter(
            f"{other[0]} tokens along a side are not asked; these are: {', '.join(map(str, PICTURES))}"
        )
    asked = {side: [rule for rule in rules or RULES if rule in AT[side]] for side in sides or PICTURES}
    if not any(asked.values()):
        raise typer.BadParameter(f"of these rules none is asked at that size; these are: {', '.join(AT[24])}")
    parts.mkdir(parents=True, exist_ok=True)
    install(parts)
    answers = ask(parts, work, asked)
    kept = pd.read_parquet(ANSWERS) if ANSWERS.is_file() else answers
    merged(kept, answers).to_parquet(ANSWERS, compression="zstd", index=False)
    STUDY.keep(record(pd.read_parquet(ANSWERS)))


def merged(kept: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The ``new`` answers, and those ``kept`` of sizes and rules that were not asked anew."""
    about = ["side", "scheme"]
    again = pd.MultiIndex.from_frame(kept[about]).isin(pd.MultiIndex.from_frame(new[about]))
    return pd.concat([kept[~again], new], ignore_index=True).sort_values(about, kind="stable", ignore_index=True)
