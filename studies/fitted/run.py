"""Fits the rules, asks them and keeps what was found; the same command goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bapa.calibrate.words.learn import MORE, fitted
from bapa.files import read_json, write_json
from studies.aligned.ask import SEEDS, Reader
from studies.aligned.run import FETCHED, Parts
from studies.answers import written
from studies.fitted import places, reading
from studies.fitted.ask import BEDS, CONTROLS, FITTED, LARGER, Tables, about_pictures, about_words, pictured, read
from studies.fitted.page import STUDY
from studies.fitted.reader import SEED, reader
from studies.pretrained.parts import install

HERE = Path(__file__).parent
RULES = HERE / "rules.json"
Languages = Annotated[
    list[str] | None, typer.Option("--language", help="SmolLM2 or Gemma; repeatable. [default: both]")
]
Work = Annotated[Path, typer.Option(help="Where models and answers are kept.")]
BUILD = Path("build")


def fit(
    seen: Annotated[
        str, typer.Argument(help="words; from there drawings; or, on words, the controls reverse and shuffle.")
    ] = "words",
    languages: Languages = None,
    parts: Parts = FETCHED,
    work: Work = BUILD,
) -> None:
    """Fit a rule to a language model on grids of words, or on drawings (needs npm)."""
    if seen not in (*FITTED, *CONTROLS):
        raise typer.BadParameter(f"there is no fit of {seen}; these are: {', '.join((*FITTED, *CONTROLS))}")
    install(_made(parts))
    for name in _known(languages):
        bed, done = BEDS[name], _rules().get(name, {})
        if seen != "drawings":
            loaded, shown = read(bed, parts)
            of = "bapa" if seen == "words" else seen
            label = fitted(reader(loaded.model, loaded.processor, shown.tokens), seed=SEED, of=of)
        elif "words" not in done:
            raise typer.BadParameter(
                f"it begins with the rule fitted on words: studies.fitted fit words --language {name}"
            )
        else:
            its = Reader.of(bed.language, parts, work / bed.home, SEEDS[0])
            read_by = reader(its.loaded.model, its.loaded.processor, its.named.token)
            pictures = replace(read_by, drawn=pictured(its))
            label = fitted(read_by, seed=SEED, steps=MORE, pictures=pictures, start=done["words"])
        rules = _rules()  # again: others may have been fitted beside it
        write_json(RULES, {**rules, name: {**rules.get(name, {}), seen: label}})


def run(languages: Languages = None, parts: Parts = FETCHED, work: Work = BUILD) -> None:
    """Ask the fitted rules about words and pictures they were not fitted on (needs npm)."""
    install(_made(parts))
    rules = _rules()
    for name in _known(languages):
        bed, home, its = BEDS[name], work / "fitted" / name, rules[name]
        on_words = {"words": (FITTED["words"], its["words"])}
        others = {scheme: (called, its[scheme]) for scheme, called in CONTROLS.items()}
        before = {kept: (rule, rule) for kept, rule in zip(("native", "bapa", "blend"), bed.before, strict=True)}
        words = _kept(f"{name}-words", about_words(bed, on_words, parts, home))
        pictures = _kept(f"{name}-pictures", about_pictures(bed, {seen: its[seen] for seen in FITTED}, parts, home))
        controls = _kept(f"{name}-controls", about_words(bed, others, parts, home))
        larger = _kept(f"{name}-larger", about_words(bed, before | on_words, parts, home, LARGER))
        asked = {f"{kept}-places": rule for kept, rule in (before | on_words).items()}
        placed = written(HERE / f"{name}-places.parquet", places.ask(bed, asked, parts, home))
        found = {
            "words": reading.words(bed, words),
            "pictures": reading.pictures(bed, pictures),
            "controls": reading.controls(bed, words, controls),
            "larger": reading.larger(bed, larger),
            "places": places.figures(placed),
        }
        STUDY.keep({**STUDY.record(), name: found})  # read again: another may have been asked beside it


def _rules() -> dict[str, dict[str, str]]:
    """By language model and what was fitted, the rules' labels."""
    return read_json(RULES) if RULES.is_file() else {}


def files(name: str) -> tuple[Path, Path]:
    """Where answers are kept, ``SmolLM2-words`` for example: about names, about neighbours."""
    return HERE / f"{name}.parquet", HERE / f"{name}-neighbours.parquet"


def _kept(name: str, tables: Tables) -> Tables:
    """What the files of this name hold once ``tables`` are written into them: numbers lose digits on the way."""
    shares, known = (written(path, table) for path, table in zip(files(name), tables, strict=True))
    return shares, known


def _made(parts: Path) -> Path:
    parts.mkdir(parents=True, exist_ok=True)
    return parts


def _known(languages: Sequence[str] | None) -> Sequence[str]:
    if other := [name for name in languages or () if name not in BEDS]:
        raise typer.BadParameter(f"there is no {other[0]}; these are: {', '.join(BEDS)}")
    return languages or list(BEDS)
