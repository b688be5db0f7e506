"""A rule fitted to a taught model on drawings, with rows and columns in its loss: PLAN-2.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from bapa.calibrate.words.learn import Known, fitted
from bapa.calibrate.words.reader import CELLS
from bapa.calibrate.words.reader import Reader as Words
from bapa.files import read_json
from studies.aligned.ask import Reader
from studies.fitted import run as before
from studies.fitted.ask import pictured
from studies.fitted.places import LINES, said, wordings
from studies.fitted.reader import reader as reading

STEPS = 60
ASKED = ("row", "row", "column")  # what is asked about the pictures of a step, all nine things of each


def _nothing(_: torch.Generator) -> Sequence[Known]:
    return []


@dataclass(frozen=True)
class Places:
    """What the model knows of rows and columns in drawings by the hands that the projector learned from."""

    pictures: Words
    words: Mapping[str, Tensor]  # by form the tokens of the three answers

    def __call__(self, generator: torch.Generator) -> Sequence[Known]:
        half = self.pictures.half
        drawn = [half[torch.randperm(len(half), generator=generator)[:CELLS]] for _ in ASKED]
        return [
            partial(self.known, self.pictures.drawn(one[None]), one, form)
            for one, form in zip(drawn, ASKED, strict=True)
        ]

    def known(self, image: Tensor, things: Tensor, form: str) -> Mapping[str, Tensor]:
        """The mean probability of the right answer among three, by ``form``. What is said of all cells alike is taken
        off before. ``image``: of one picture; ``things``: numbers of its names, (9,).
        """
        asked = wordings(form, [self.pictures.names[number] for number in things.tolist()])
        logs = self.pictures.said(image, asked)[0][:, self.words[form]]
        cell = torch.arange(CELLS)
        right = (cell // 3 if form == "row" else cell % 3)[:, None]
        return {form: (logs - logs.mean(0)).softmax(-1).gather(1, right).mean()}


@dataclass(frozen=True)
class Way:
    """A way to fit. ``of``: the scheme that heads take shares of; ``start``: the rule that it begins with, by what was
    fitted on words to the untaught model; ``guarded``: rows and columns are in the loss.
    """

    of: str
    start: str
    guarded: bool


WAYS: Mapping[str, Way] = {
    "fitted with rows": Way("bapa", "words", guarded=True),
    "fitted without rows": Way("bapa", "words", guarded=False),
    "reverse with rows": Way("reverse", "reverse", guarded=True),
}


def fit(reader: Reader, way: str, seed: int, kept: Path) -> str:
    """The label of the rule that was fitted in this ``way``; it goes on from what is ``kept``."""
    its = WAYS[way]
    words = reading(reader.loaded.model, reader.loaded.processor, reader.named.token)
    pictures = replace(words, drawn=pictured(reader))
    answers = {form: torch.tensor(said(reader.loaded.processor, form)) for form in LINES}
    guard: Callable[[torch.Generator], Sequence[Known]] = Places(pictures, answers) if its.guarded else _nothing
    start = read_json(before.RULES)["SmolLM2"][its.start]
    return fitted(words, seed=seed, steps=STEPS, pictures=pictures, guard=guard, start=start, kept=kept, of=its.of)
