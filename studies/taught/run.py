"""Teaches the models, asks them and keeps what was found; the same command goes on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from studies.aligned import run as aligned
from studies.aligned.ask import ALIGNED, SEEDS, Reader
from studies.aligned.run import FETCHED, Parts, Seeds
from studies.answers import written
from studies.pretrained.parts import install
from studies.taught import kept, reading
from studies.taught import sites as parted
from studies.taught.ask import FITS, Tables, ask, fitted_to, taught
from studies.taught.fit import WAYS, lacking
from studies.taught.lessons import PROBED, Subject
from studies.taught.page import STUDY

HERE = Path(__file__).parent
FILES = HERE / "answers.parquet", HERE / "places.parquet"
SITES = HERE / "sites.parquet", HERE / "sites-rows.parquet"


Work = Annotated[Path, typer.Option(help="Where models and answers are kept.")]
BUILD = Path("build/taught")


def fit(seeds: Seeds = None, parts: Parts = FETCHED, work: Work = BUILD) -> None:
    """Teach models that nobody biased rows and columns, and fit rules to them in every way (needs npm)."""
    lacking(FITS, WAYS, known(seeds, parts, work), partial(fitted_to, parts, work))


def run(seeds: Seeds = None, parts: Parts = FETCHED, work: Work = BUILD) -> None:
    """Ask the taught models under every rule, and under those that were fitted to them (needs npm)."""
    new = ask(parts, work, known(seeds, parts, work))
    shares, others = (written(path, table, ("seed",)) for path, table in zip(FILES, new, strict=True))
    STUDY.keep({**STUDY.record(), **found((shares, others))})


def sites(seeds: Seeds = None, parts: Parts = FETCHED, work: Work = BUILD) -> None:
    """Ask the taught models with the shared position in one part of them at a time (needs npm)."""
    new = parted.ask(parts, work, known(seeds, parts, work))
    tables = [written(path, table, ("seed",)) for path, table in zip(SITES, new, strict=True)]
    STUDY.keep({**STUDY.record(), "sites": parted.record(*tables)})


def rows(seeds: Seeds = None, parts: Parts = FETCHED, work: Work = BUILD) -> None:
    """Teach models rows alone, in the words of the probe `where`: folders ``rows-1`` to ``rows-3`` (needs npm)."""
    for seed in known(seeds, parts, work):
        untaught = Reader.of(ALIGNED, parts, work.parent / "aligned", seed)
        taught(untaught, work / f"rows-{seed}", seed, Subject((PROBED,)))


def keep(folders: Annotated[list[Path], typer.Argument(help="Calibrated folders, called NAME-SEED.")]) -> None:
    """Put what `bapa calibrate --keep` found on the models taught by `rows` into the record."""
    found = {folder.name.rpartition("-")[2]: kept.told(folder) for folder in folders}
    STUDY.keep({**STUDY.record(), "kept": found})


def found(new: Tables) -> dict[str, object]:
    """The record of these answers."""
    return reading.record(pd.read_parquet(aligned.SHARES), new)


def known(seeds: Seeds, parts: Path, work: Path) -> Sequence[int]:
    """The models to be asked, once the parts are there; a seed of which there is none is refused."""
    if other := [seed for seed in seeds or () if seed not in SEEDS]:
        raise typer.BadParameter(f"there is no model {other[0]}; these are: {', '.join(map(str, SEEDS))}")
    for folder in (parts, work):
        folder.mkdir(parents=True, exist_ok=True)
    install(parts)
    return seeds or SEEDS
