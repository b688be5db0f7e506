"""Fitted rules asked of the words they were not fitted on, and of pictures: PLAN.md.

What native positions, ``bapa`` and the blend say about the same items is in the answers of the studies of words,
aligned and gemma.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from bapa.attach import balanced
from bapa.calibrate.words.reader import CELLS
from bapa.checkpoints import load
from bapa.probe.questions import bare
from studies.aligned import run as aligned
from studies.aligned.ask import ALIGNED, SEEDS, Language, Reader
from studies.gemma import pictures as gemma_pictures
from studies.gemma import run as gemma
from studies.gemma.ask import CANDIDATES as GEMMA_CANDIDATES
from studies.gemma.pictures import GEMMA
from studies.pretrained import scenes
from studies.pretrained.parts import TRAINED, common_things
from studies.words import neighbours
from studies.words import run as words
from studies.words.ask import CANDIDATES, PICTURES, Array, Grids, asked, embedded, frames_of, grids, kept

SIDE, LARGER, DRAWN = 9, 24, 4000  # tokens along a side: of the fits, of larger images
NEAR = {SIDE: 80, LARGER: 40}  # grids that are asked about neighbours
FITTED = {"words": "fitted on words", "drawings": "fitted on drawings"}  # what rules are called, by what they saw
# Schemes whose shares are fitted on words, beside those of the shared position, and what these rules are called.
CONTROLS = {"reverse": "shares of reverse", "shuffle": "shares of shuffle"}
_KEPT_AS = {"words": "pictures", "drawings": "drawings"}
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


def read(bed: Bed, parts: Path, side: int = SIDE) -> tuple[Any, Grids]:
    """The language model by itself and the grids of words that it was asked about, with ``side`` image tokens along a
    side.
    """
    loaded = load(str(bed.language.base(parts)), device="cpu", dtype=torch.float32)
    names = [bare(thing.caption) for thing in common_things(parts)]
    return loaded, grids(loaded.processor.tokenizer, names, PICTURES[side])


def pictured(reader: Reader) -> Callable[[Tensor], Tensor]:
    """From names of cells, numbers of ``reader.named``, (pictures, 9), to what the encoder and the projector make of
    drawings of them by the hands that the projector learned from.
    """
    generator = torch.Generator().manual_seed(DRAWN)

    def see(shown: Tensor) -> Tensor:
        thing = reader.named.thing[shown]
        hand = torch.randint(len(TRAINED), thing.shape, generator=generator)
        hand = torch.where(reader.bench.there[hand, thing], hand, 0)
        none = torch.zeros(len(thing), dtype=torch.long)
        drawn = scenes.Scenes(thing, hand, none, none + CELLS)
        pixels = (scenes.paint(drawn, reader.bench.atlas, generator, plain=True) - 127) / 128
        with torch.no_grad():
            features: Tensor = reader.loaded.model.model.get_image_features(pixels).pooler_output
        return features

    return see


def about_words(bed: Bed, rules: Mapping[str, tuple[str, str]], parts: Path, work: Path, side: int = SIDE) -> Tables:
    """The answers under ``rules``, which are told by what they are called and their label; each is kept in ``work``, by
    the key of ``rules``, as it ends.
    """
    loaded, shown = read(bed, parts, side)
    model, processor = loaded.model, loaded.processor
    image = embedded(model, shown, side)
    things = shown.tokens[shown.shown[: NEAR[side]]]

    def names(called: str) -> Array:
        return asked(model, processor, image, shown.tokens, called)

    def near(called: str, form: int) -> Array:
        return neighbours.mentioned(model, processor, image[: NEAR[side]], things, neighbours.FORMS[form], called)

    each = []
    for key, (called, rule) in rules.items():
        path = work / (key if side == SIDE else f"{key}-{side}")
        with balanced(model, rule):
            found = kept(path.with_name(f"{path.name}.npy"), partial(names, called))
            known = _known(path.with_name(f"{path.name}-near"), partial(near, called), len(neighbours.FORMS))
        maps = pd.concat(frames_of(found, shown.shown.numpy()))
        each.append([table.assign(scheme=called) for table in (maps, known)])
    maps, known = map(pd.concat, zip(*each, strict=True))
    return maps, known


def about_pictures(bed: Bed, rules: Mapping[str, str], parts: Path, work: Path) -> Tables:
    """The answers of the models that read pictures, which lie beside ``work``, under ``rules``, by what they saw."""
    each = []
    for seed in SEEDS:
        reader = Reader.of(bed.language, parts, work.parents[1] / bed.home, seed)
        image = cache(reader.image)
        for seen, rule in rules.items():
            tables = _about_pictures(reader, image, rule, work / f"{_KEPT_AS[seen]}-{seed}", bed.language.forms)
            each.append([table.assign(seed=seed, scheme=FITTED[seen]) for table in tables])
    maps, known = map(pd.concat, zip(*each, strict=True))
    return maps, known


def _about_pictures(reader: Reader, image: Callable[[], Tensor], rule: str, path: Path, forms: int) -> Tables:
    def near(form: int) -> Array:
        return reader.near(image(), rule, form)

    found = kept(path.with_name(f"{path.name}.npy"), lambda: reader.names(image(), rule))
    return pd.concat(frames_of(found, reader.shown.numpy())), _known(path.with_name(f"{path.name}-near"), near, forms)


def _known(path: Path, ask: Callable[[int], Array], forms: int) -> pd.DataFrame:
    """What is known of neighbours in each of so many ``forms``; the answers are kept beside ``path``."""
    found = [kept(path.with_name(f"{path.name}-{form}.npy"), partial(ask, form)) for form in range(forms)]
    return pd.concat([frame for form, logs in enumerate(found) for frame in neighbours.frames_of(logs, form)])
