"""Asks every rule and keeps what was found; the same command goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from studies.answers import merged
from studies.pretrained.parts import install
from studies.words import knowing, neighbours
from studies.words import sites as single
from studies.words.ask import AT, PICTURES, RULES, ask
from studies.words.page import STUDY
from studies.words.picture import draw
from studies.words.reading import record

HERE = Path(__file__).parent
ANSWERS, NEIGHBOURS = HERE / "answers.parquet", HERE / "neighbours.parquet"
SITES = HERE / "sites.parquet", HERE / "sites-neighbours.parquet"
PICKED = HERE / "picked-layers.parquet", HERE / "picked-layers-neighbours.parquet"


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
    _add(ANSWERS, ask(parts, work, asked), ["side", "scheme"])
    near = {side: [rule for rule in rules if rule in neighbours.ASKED[side][2]] for side, rules in asked.items()}
    if any(near.values()):
        _add(NEIGHBOURS, neighbours.ask(parts, work, near), ["side", "scheme"])
    found = {**STUDY.record(), **record(pd.read_parquet(ANSWERS))}
    if NEIGHBOURS.is_file():
        known = pd.read_parquet(NEIGHBOURS)
        found["neighbours"] = {str(side): knowing.figures(rows) for side, rows in known.groupby("side")}
    STUDY.keep(found)
    draw(found)


def sites(
    heads: Annotated[bool, typer.Option(help="Single heads of layers too, which takes longer than all others.")] = True,
    parts: Annotated[Path, typer.Option(help="Where the pretrained parts lie; fetched where they are missing.")] = Path(
        "build/pretrained/parts"
    ),
    work: Annotated[Path, typer.Option(help="Where answers are kept.")] = Path("build/words"),
) -> None:
    """Let it read grids with the shared position in one part of it at a time (needs npm for the names of things)."""
    for folder in (parts, work):
        folder.mkdir(parents=True, exist_ok=True)
    install(parts)
    wanted = {part: rule for part, rule in single.PARTS.items() if heads or ", head" not in part}
    found = {}
    for name, paths, rules, pictures in (
        ("sites", SITES, wanted, single.ONE_BY_ONE),
        ("picked layers", PICKED, single.PICKED, single.FRESH),
    ):
        tables = single.ask(parts, work, rules, pictures)
        for path, table in zip(paths, tables, strict=True):
            table.to_parquet(path, compression="zstd", index=False)
        found[name] = single.record(*tables)
    STUDY.keep({**STUDY.record(), **found})
    draw(STUDY.record())


def _add(path: Path, new: pd.DataFrame, about: list[str]) -> None:
    kept = pd.read_parquet(path) if path.is_file() else new
    merged(kept, new, about).to_parquet(path, compression="zstd", index=False)
