"""A rule fitted to a taught model on drawings, with what it knows of places in its loss: PLAN-2.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from bapa.calibrate.words.learn import Known, fitted
from bapa.calibrate.words.reader import CELLS
from bapa.calibrate.words.reader import Reader as Words
from bapa.files import read_json, write_json
from studies.aligned.ask import Reader
from studies.fitted import run as before
from studies.fitted.ask import pictured
from studies.fitted.places import LINES, said, wordings
from studies.fitted.reader import reader as reading
from studies.taught.lessons import BOX, LEFTS, digits, pointing

STEPS, SIDES = 60, 3  # SIDES: cells along a side
ASKED = ("row", "row", "column")  # what is asked about the pictures of a step, all nine things of each


@dataclass(frozen=True)
class Places:
    """What the model knows of places in drawings by the hands that the projector learned from.

    ``words``: by form the tokens of the three answers. ``captions``: of all names. ``asked``: the forms of one step, a
    picture each.
    """

    pictures: Words
    words: Mapping[str, Tensor]
    captions: Sequence[str]
    asked: Sequence[str] = ASKED

    def __call__(self, generator: torch.Generator) -> Sequence[Known]:
        half = self.pictures.half
        drawn = [half[torch.randperm(len(half), generator=generator)[:CELLS]] for _ in self.asked]
        return [
            partial(self.boxed if form == BOX else self.known, self.pictures.drawn(one[None]), one, form)
            for one, form in zip(drawn, self.asked, strict=True)
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

    def boxed(self, image: Tensor, things: Tensor, form: str) -> Mapping[str, Tensor]:
        """The mean probability, among three, of the right left side of a box and of the right top side behind it. What
        is said of all things alike, behind a left side, is taken off before. Arguments as of :meth:`known`.
        """
        asked = [pointing(self.captions[number]) for number in things.tolist()]
        behind = [(question, f"{begun}{LEFTS[cell % SIDES]}") for cell, (question, begun) in enumerate(asked)]
        logs = self.pictures.said(image, [*asked, *behind])[0][:, self.words[form]]
        left, top = logs[:CELLS], logs[CELLS:].view(SIDES, SIDES, -1)  # of things, by row and by column
        left, top = (left - left.mean(0)).softmax(-1), (top - top.mean(0)).softmax(-1).flatten(0, 1)
        cell = torch.arange(CELLS)[:, None]
        return {form: (left.gather(1, cell % SIDES).mean() + top.gather(1, cell // SIDES).mean()) / 2}


@dataclass(frozen=True)
class Way:
    """A way to fit. ``of``: the scheme that heads take shares of; ``start``: the rule that it begins with, by what was
    fitted on words to the untaught model; ``asked``: forms of questions about places in the loss of a step.
    """

    of: str
    start: str
    asked: Sequence[str] = ASKED


WAYS: Mapping[str, Way] = {
    "fitted with rows": Way("bapa", "words"),
    "fitted without rows": Way("bapa", "words", asked=()),
    "reverse with rows": Way("reverse", "reverse"),
}


def fits(path: Path) -> dict[str, dict[str, str]]:
    """By seed and way the labels of the fitted rules that a file holds."""
    return read_json(path) if path.is_file() else {}


def lacking(path: Path, ways: Iterable[str], seeds: Sequence[int], fit: Callable[[str, int], str]) -> None:
    """Fit every rule that ``path`` lacks; each is kept as it ends."""
    for way, seed in product(ways, seeds):
        if way not in fits(path).get(str(seed), {}):
            label = fit(way, seed)
            done = fits(path)  # again: others may have been fitted beside it
            write_json(path, {**done, str(seed): {**done.get(str(seed), {}), way: label}})


def fit(reader: Reader, way: Way, seed: int, kept: Path, codes: Tensor | None = None) -> str:
    """The label of the rule that was fitted in this ``way``; it goes on from what is ``kept``. ``codes``: what is added
    to the image tokens of pictures, (81, width); by default nothing.
    """
    processor, named = reader.loaded.processor, reader.named
    words = reading(reader.loaded.model, processor, named.token)
    see = pictured(reader)
    pictures = replace(words, drawn=see if codes is None else lambda shown: see(shown) + codes)
    answers = {form: torch.tensor(said(processor, form)) for form in LINES} | {BOX: torch.tensor(digits(processor))}
    guard = Places(pictures, answers, [reader.bench.asker.captions[thing] for thing in named.thing], way.asked)
    start = read_json(before.RULES)["SmolLM2"][way.start]
    return fitted(words, seed=seed, steps=STEPS, pictures=pictures, guard=guard, start=start, kept=kept, of=way.of)
