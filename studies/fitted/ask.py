"""Fitted rules asked of the words they were not fitted on, and of pictures: PLAN.md.

What native positions, ``bapa`` and the blend say about the same items is in the answers of the studies of words,
aligned and gemma.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bapa.attach import balanced
from bapa.checkpoints import load
from bapa.probe.questions import bare
from studies.aligned import run as aligned
from studies.aligned.ask import ALIGNED, SEEDS, Language, Reader
from studies.gemma import pictures as gemma_pictures
from studies.gemma import run as gemma
from studies.gemma.ask import CANDIDATES as GEMMA_CANDIDATES
from studies.gemma.pictures import GEMMA
from studies.pretrained.parts import common_things
from studies.words import neighbours
from studies.words import run as words
from studies.words.ask import CANDIDATES, PICTURES, Array, Grids, asked, embedded, frames_of, grids, keep

SIDE, NEAR, RULE = 9, 80, "fitted"
Tables = tuple[pd.DataFrame, pd.DataFrame]  # shares of names, what is known of neighbours


@dataclass(frozen=True)
class Bed:
    """A language model with words in the place of image tokens, and with pictures.

    ``blend``: the rule in part, asked before. ``words``, ``pictures``: files of the answers before, names and
    neighbours each. ``home``: folder of the models that read pictures, within the work folder.
    """

    language: Language
    blend: str
    words: tuple[Path, Path]
    pictures: tuple[Path, Path]
    home: str

    @property
    def before(self) -> tuple[str, ...]:
        """Rules asked before, native first."""
        return ("native", "bapa", self.blend)


BEDS = {
    "SmolLM2": Bed(ALIGNED, CANDIDATES[0], (words.ANSWERS, words.NEIGHBOURS), aligned.FILES, "aligned"),
    "Gemma": Bed(GEMMA, GEMMA_CANDIDATES[0], (gemma.ANSWERS, gemma.NEIGHBOURS), gemma_pictures.FILES, "gemma-pictures"),
}


def read(bed: Bed, parts: Path) -> tuple[Any, Grids]:
    """The language model by itself and the grids of words that it was asked about."""
    loaded = load(str(bed.language.base(parts)), device="cpu", dtype=torch.float32)
    names = [bare(thing.caption) for thing in common_things(parts)]
    return loaded, grids(loaded.processor.tokenizer, names, PICTURES[SIDE])


def about_words(bed: Bed, rule: str, parts: Path, work: Path) -> Tables:
    """The answers under ``rule``, each kept in ``work`` as it ends."""
    loaded, shown = read(bed, parts)
    model, processor = loaded.model, loaded.processor
    image = embedded(model, shown, SIDE)
    things = shown.tokens[shown.shown[:NEAR]]

    def names() -> Array:
        return asked(model, processor, image, shown.tokens, RULE)

    def near(form: int) -> Array:
        return neighbours.mentioned(model, processor, image[:NEAR], things, neighbours.FORMS[form], RULE)

    with balanced(model, rule):
        maps = pd.concat(frames_of(_kept(work / "words.npy", names), shown.shown.numpy()))
        known = _known(work / "words-near", near, len(neighbours.FORMS))
    return maps.assign(scheme=RULE), known.assign(scheme=RULE)


def about_pictures(bed: Bed, rule: str, parts: Path, work: Path) -> Tables:
    """The answers under ``rule`` of the models that read pictures, which lie beside ``work``."""
    each = [_about_pictures(bed, rule, parts, work, seed) for seed in SEEDS]
    maps, known = (pd.concat(tables).assign(scheme=RULE) for tables in zip(*each, strict=True))
    return maps, known


def _about_pictures(bed: Bed, rule: str, parts: Path, work: Path, seed: int) -> Tables:
    reader = Reader.of(bed.language, parts, work.parents[1] / bed.home, seed)
    image = cache(reader.image)

    def near(form: int) -> Array:
        return reader.near(image(), rule, form)

    found = _kept(work / f"pictures-{seed}.npy", lambda: reader.names(image(), rule))
    known = _known(work / f"pictures-{seed}-near", near, bed.language.forms)
    return pd.concat(frames_of(found, reader.shown.numpy())).assign(seed=seed), known.assign(seed=seed)


def _known(path: Path, ask: Callable[[int], Array], forms: int) -> pd.DataFrame:
    """What is known of neighbours in each of so many ``forms``; the answers are kept beside ``path``."""
    found = [_kept(path.with_name(f"{path.name}-{form}.npy"), partial(ask, form)) for form in range(forms)]
    return pd.concat([frame for form, logs in enumerate(found) for frame in neighbours.frames_of(logs, form)])


def _kept(path: Path, ask: Callable[[], Array]) -> Array:
    """What ``path`` holds; asked and kept there where it holds nothing."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        keep(path, ask())
    found: Array = np.load(path)
    return found
