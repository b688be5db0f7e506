"""One attribute of the image tokens is moved at a time, and the models are asked for names again: PLAN-3.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import ClassVar

import pandas as pd
import torch
from torch import Tensor

from bapa.attach import balanced
from bapa.layout import Image
from bapa.schemes import Placement, Scheme, parse
from studies.aligned.ask import ALIGNED, Reader
from studies.coded.ask import rolled
from studies.coded.codes import codes
from studies.mixed.ask import NATIVELY_CENTRAL, SWITCHED_CENTRAL, UNDER_CENTRAL, pupil
from studies.pretrained.build import GRID
from studies.words.ask import Array, asked, frames_of, kept

CELL = GRID // 3  # tokens along a side of a cell


@dataclass(frozen=True)
class OneCellOn(Scheme):
    """Image token (r, c) of a square takes the position of token (r - CELL, c - CELL), round the edge."""

    name: ClassVar[str] = "one-cell-on"
    paper: ClassVar[str] = "control of studies/mixed"

    def place(self, image: Image, b: float = 0) -> Placement:
        places = torch.arange(GRID * GRID).view(GRID, GRID).roll((CELL, CELL), (0, 1)).flatten()
        return Placement.after_last(places[None, : len(image)])


@dataclass(frozen=True)
class Move:
    """What is moved in the models of an ``arm``: positions, by the ``rule`` they are asked under, codes, the order."""

    arm: str
    rule: Scheme
    codes: bool = False
    order: bool = False

    def image(self, plain: Tensor, added: Tensor) -> Tensor:
        """What the language model gets, (pictures, 81, width). ``plain``: its image tokens without codes; ``added``:
        the codes, (81, width).
        """
        tokens = plain + (rolled(added) if self.codes else added)
        if not self.order:
            return tokens
        square = tokens.view(len(tokens), GRID, GRID, -1)
        return square.roll((-CELL, -CELL), (1, 2)).flatten(1, 2)  # the token of the bottom right stands in the middle


NATIVE, SHARED = parse("native"), parse("bapa")
MOVES: Mapping[str, Move] = {
    f"{NATIVELY_CENTRAL}: positions": Move(NATIVELY_CENTRAL, OneCellOn()),
    f"{UNDER_CENTRAL}: codes": Move(UNDER_CENTRAL, SHARED, codes=True),
    f"{UNDER_CENTRAL}: order": Move(UNDER_CENTRAL, SHARED, order=True),
    f"{NATIVELY_CENTRAL}: codes": Move(NATIVELY_CENTRAL, NATIVE, codes=True),
    f"{NATIVELY_CENTRAL}: order and positions": Move(NATIVELY_CENTRAL, NATIVE, order=True),
    # These two were added when the others had been seen.
    f"{SWITCHED_CENTRAL}: codes": Move(NATIVELY_CENTRAL, SHARED, codes=True),
    f"{SWITCHED_CENTRAL}: order": Move(NATIVELY_CENTRAL, SHARED, order=True),
}


def ask(parts: Path, work: Path, seeds: Sequence[int]) -> pd.DataFrame:
    """Ask what ``work`` lacks; each answer is kept as it ends. ``work`` lies beside the folders ``aligned`` and
    ``coded``. Columns ``seed``, ``moved``, ``wording``, ``picture``, ``cell``, ``share``; cells are those where things
    stand.
    """
    frames = []
    for seed in seeds:
        untaught = Reader.of(ALIGNED, parts, work.parent / "aligned", seed)
        image = cache(untaught.image)
        for name, move in MOVES.items():
            logs = kept(path(work, name, seed), partial(names, untaught, image, work, seed, move))
            frames += [one.assign(seed=seed, moved=name) for one in frames_of(logs, untaught.shown.numpy())]
    return pd.concat(frames, ignore_index=True)[["seed", "moved", "wording", "picture", "cell", "share"]]


def path(work: Path, name: str, seed: int) -> Path:
    """Where the answers of one model are kept."""
    arm, _, what = name.partition(": ")
    return work / f"{arm}-{seed}-moved-{what}.npy"


def names(untaught: Reader, image: Callable[[], Tensor], work: Path, seed: int, move: Move) -> Array:
    """Log-probabilities of the names, (pictures, wordings, names), of the model whose arm is moved. ``image``: gives
    the image tokens without codes.
    """
    reader = pupil(untaught, work, seed, move.arm)
    model, tokens = reader.loaded.model, move.image(image(), codes(reader.named))
    with balanced(model, move.rule):
        return asked(model, reader.loaded.processor, tokens, reader.named.token, move.rule.label)
