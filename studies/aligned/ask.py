"""The models read pictures in the hand that their projectors never saw: PLAN.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bapa.attach import balanced
from bapa.calibrate.words.reader import CELLS
from bapa.checkpoints import load
from bapa.progress import progress
from bapa.schemes import parse
from bapa.schemes.shares import brief
from studies.aligned.projector import Named, folder, part, pictures
from studies.pretrained import build, scenes
from studies.pretrained.learner import Bench
from studies.words import neighbours
from studies.words.ask import CANDIDATES, CARRIED, Array, asked, frames_of, keep

SEEDS, PICTURES, MOVED = (1, 2, 3), 243, "moved"
ASKED = 81  # pictures about neighbours
_RULES = (
    *CARRIED,
    *(CANDIDATES[n] for n in (0, 2, 3)),  # of the words study's second plan
)
RULES = tuple(parse(rule).label for rule in _RULES)
_AT_ONCE = 27


@dataclass(frozen=True)
class Language:
    """A language model behind the encoder and what its models are asked.

    ``name``: of their folders, before the seed. ``base``: from the folder of the parts to that of the untrained model.
    ``rules``: asked about names, native first; ``near``: about neighbours, in the first ``forms`` of the words study.
    """

    name: str
    base: Callable[[Path], Path]
    rules: tuple[str, ...]
    near: tuple[str, ...]
    forms: int


# The last rule about neighbours was added when the maps had been seen.
ALIGNED = Language("aligned", build.base, RULES, ("native", "bapa", CANDIDATES[0], CANDIDATES[2], CANDIDATES[3]), 1)


def shifted() -> Tensor:
    """Nine orders of the cells, shifted round both ways, (9, 9): the cell whose content comes into each cell."""
    cells = torch.arange(CELLS).view(3, 3)
    return torch.stack([cells.roll((down, right), (0, 1)).flatten() for down in range(3) for right in range(3)])


def moves() -> Tensor:
    """Of each picture the cell that the encoder sees in the place of each cell of the language model, (pictures, 9)."""
    return shifted()[torch.arange(PICTURES) % CELLS]


def seen(model: Any, bench: Bench, drawn: scenes.Scenes, moved: bool) -> Tensor:
    """What the language model gets, (pictures, 81, width). ``moved``: each picture is encoded with its cells shifted
    and its features put back.
    """
    tokens = torch.arange(scenes.TOKENS).view(3, 3, 3, 3).permute(0, 2, 1, 3).reshape(CELLS, CELLS)  # of each cell
    found = []
    with torch.no_grad(), progress("pictures seen by the encoder", len(drawn.thing)) as step:
        for start in range(0, len(drawn.thing), _AT_ONCE):
            some = part(drawn, slice(start, start + _AT_ONCE))
            place = moves()[start : start + len(some.thing)]  # where each cell's thing is painted
            if moved:
                painted = torch.empty_like(some.thing).scatter_(1, place, some.thing)
                some = scenes.Scenes(painted, some.hand, some.main, some.shown)
            generator = torch.Generator().manual_seed(start)
            pixels = (scenes.paint(some, bench.atlas, generator, plain=True) - 127) / 128
            features = model.model.get_image_features(pixels).pooler_output
            if moved:
                back = torch.empty_like(features)
                for cell in range(CELLS):
                    back[:, tokens[cell]] = features[torch.arange(len(features))[:, None], tokens[place[:, cell]]]
                features = back
            found.append(features)
            for _ in features:
                step()
    return torch.cat(found)


@dataclass(frozen=True)
class Reader:
    """A model and the pictures it is asked about. ``shown``: which named things they hold, (pictures, 9) long."""

    loaded: Any
    bench: Bench
    named: Named
    drawn: scenes.Scenes
    shown: Tensor

    @classmethod
    def of(cls, language: Language, parts: Path, work: Path, seed: int) -> Reader:
        """The model of this ``seed``, its projector learned where it is missing."""
        bench = Bench(parts, "cpu", language.base(parts))
        named = Named.of(bench)
        home = folder(bench, work / f"{language.name}-{seed}", seed)
        loaded = load(str(home), device="cpu", dtype=torch.float32)
        drawn = pictures(bench, named, PICTURES, torch.Generator().manual_seed(seed + 1000), held_out=True)
        return cls(loaded, bench, named, drawn, named.number()[drawn.thing])

    def image(self, moved: bool = False) -> Tensor:
        """What the language model gets, (pictures, 81, width)."""
        return seen(self.loaded.model, self.bench, self.drawn, moved)

    def names(self, image: Tensor, rule: str) -> Array:
        """Log-probabilities of the names under ``rule``."""
        with balanced(self.loaded.model, rule):
            return asked(self.loaded.model, self.loaded.processor, image, self.named.token, brief(rule))

    def near(self, image: Tensor, rule: str, form: int) -> Array:
        """Log-probabilities of the others after each thing is mentioned, of the first ``ASKED`` pictures."""
        tokens = self.named.token[self.shown[:ASKED]]
        model, words = self.loaded.model, neighbours.FORMS[form]
        with balanced(model, rule):
            return neighbours.mentioned(model, self.loaded.processor, image[:ASKED], tokens, words, brief(rule))


def ask(language: Language, parts: Path, work: Path, seeds: Sequence[int] = SEEDS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Learn the projectors and ask the rules that ``work`` lacks, each kept as it ends. The shares of all: columns
    ``seed``, ``scheme``, ``wording``, ``picture``, ``cell``, ``share``; and what is known of neighbours: ``seed``,
    ``scheme``, ``form``, ``picture``, ``relation``, ``auc``.
    """
    work.mkdir(parents=True, exist_ok=True)
    maps: list[pd.DataFrame] = []
    known: list[pd.DataFrame] = []
    for seed in seeds:
        reader = Reader.of(language, parts, work, seed)
        image = cache(reader.image)
        for rule in (*language.rules, MOVED):
            moved = rule == MOVED
            kept = work / f"{seed}-{rule}.npy"
            if not kept.is_file():
                keep(kept, reader.names(image(moved), "native" if moved else rule))
            maps += [frame.assign(seed=seed, scheme=rule) for frame in frames_of(np.load(kept), reader.shown.numpy())]
        for rule, form in product(language.near, range(language.forms)):
            kept = work / f"{seed}-near-{form}-{rule}.npy"
            if not kept.is_file():
                keep(kept, reader.near(image(False), rule, form))
            known += [frame.assign(seed=seed, scheme=rule) for frame in neighbours.frames_of(np.load(kept), form)]
    types = {"seed": "int8", "wording": "int8", "picture": "int16", "cell": "int8", "share": "float32"}
    shares = pd.concat(maps, ignore_index=True)[["seed", "scheme", *list(types)[1:]]].astype(types)
    types = {"seed": "int8", "form": "int8", "picture": "int16", "auc": "float32"}
    columns = ["seed", "scheme", "form", "picture", "relation", "auc"]
    return shares, pd.concat(known, ignore_index=True)[columns].astype(types)
