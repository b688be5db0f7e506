"""Training data drawn on the fly: canvases of nine tinted digits and questions about them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from transformers import LlavaProcessor

from bapa.probe import digits
from studies.reference.recipe import CELL_PX, CELLS, COLS, ROWS

COLOUR_QUESTION = "What colour is the {digit}? Answer with one word."
_DIGITS, _COLOURS = len(digits.DIGITS), len(digits.COLOURS)
_KINDS = torch.tensor([0.35, 0.175, 0.175, 0.30])  # present, absent digit, right digit in a wrong colour, which colour
_PRESENT, _ABSENT, _NEAR, _COLOUR = range(4)


@dataclass(frozen=True)
class Scenes:
    """What stands where: `digit` and `colour`, each (batch, tiles), long; nine tiles of a canvas row by row, or one of
    each picture of a prompt.
    """

    digit: Tensor
    colour: Tensor

    @cached_property
    def shown(self) -> Tensor:
        """Whether a pair is on the canvas, (batch, 10, 8), bool."""
        shown = torch.zeros(len(self.digit), _DIGITS, _COLOURS, dtype=torch.bool)
        shown[torch.arange(len(self.digit))[:, None], self.digit, self.colour] = True
        return shown


@dataclass(frozen=True)
class Questions:
    """Questions about scenes as tokens. `ids`: (batch, questions, length), long, answered and padded on the right;
    `answer_at`: index of the answer in it; `text`: index of the question in :attr:`Asker.texts`; both (batch,
    questions), long.
    """

    ids: Tensor
    answer_at: Tensor
    text: Tensor

    def joined(self, more: Questions) -> Questions:
        """These and more questions about the same scenes."""
        pairs = ((self.ids, more.ids), (self.answer_at, more.answer_at), (self.text, more.text))
        return Questions(*(torch.cat(pair, 1) for pair in pairs))


class Bank:
    """Jittered strokes of all training scans, `copies` of each: enlarging them is slow, inking them is not."""

    def __init__(self, copies: int, seed: int) -> None:
        scans = np.tile(digits.scans("train"), copies)
        strokes = digits.ink(scans, CELL_PX, np.random.default_rng(seed), jitter=1.5)
        self.ink = torch.from_numpy(np.rint(255 * strokes).astype(np.uint8))
        label = torch.from_numpy(digits.labels()[scans])
        self.by_digit = [torch.nonzero(label == digit).flatten() for digit in range(_DIGITS)]

    def canvases(self, scenes: Scenes, generator: torch.Generator) -> Tensor:
        """Pixel values of scenes as the processor would give them, (batch, 3, 72, 72), float32 in -1..1."""
        rows = self._inked(scenes, generator).view(-1, ROWS, COLS, CELL_PX, CELL_PX, 3).permute(0, 5, 1, 3, 2, 4)
        return _grained(rows.reshape(-1, 3, ROWS * CELL_PX, COLS * CELL_PX), generator)

    def pictures(self, scenes: Scenes, generator: torch.Generator) -> Tensor:
        """The same of tiles that are pictures of their own, (batch, tiles, 3, 24, 24)."""
        return _grained(self._inked(scenes, generator).permute(0, 1, 4, 2, 3), generator)

    def _inked(self, scenes: Scenes, generator: torch.Generator) -> Tensor:
        """Tinted strokes on their ground, (batch, tiles, 24, 24, 3), float32 in 0..255."""
        chosen = torch.empty_like(scenes.digit)
        for digit, members in enumerate(self.by_digit):
            here = scenes.digit == digit
            chosen[here] = members[torch.randint(len(members), (int(here.sum()),), generator=generator)]
        tints = torch.tensor(list(digits.COLOURS.values()), dtype=torch.float32)[scenes.colour]
        tints = tints + 6 * torch.randn(tints.shape, generator=generator)
        ground = torch.tensor(digits.GROUND, dtype=torch.float32)
        return ground + self.ink[chosen].unsqueeze(-1) / 255 * (tints - ground)[:, :, None, None]


def _grained(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Pixel values with grain, as the processor gives them: float32 in -1..1."""
    return (pixels + 4 * torch.randn(pixels.shape, generator=generator)).clamp(0, 255) / 127.5 - 1


def draw(batch: int, generator: torch.Generator, tiles: int = CELLS) -> Scenes:
    """Scenes of so many tiles, digits and colours drawn freely, so that a digit often stands twice."""
    digit = torch.randint(_DIGITS, (batch, tiles), generator=generator)
    return Scenes(digit, torch.randint(_COLOURS, (batch, tiles), generator=generator))


def repeat(scenes: Scenes, generator: torch.Generator) -> Scenes:
    """The scenes with one digit of each put into up to three more cells, so that numbers up to four are common."""
    batch = len(scenes.digit)
    shuffled = torch.rand(batch, CELLS, generator=generator).argsort(1)
    more = torch.randint(4, (batch, 1), generator=generator)
    first = torch.arange(CELLS).expand(batch, -1) <= more
    taken = torch.zeros_like(first).scatter(1, shuffled, first)
    return Scenes(torch.where(taken, scenes.digit.gather(1, shuffled[:, :1]), scenes.digit), scenes.colour)


class Asker:
    """Asks about scenes in the words of the `digits` probe, in the chat format of `processor`."""

    def __init__(self, processor: LlavaProcessor) -> None:
        words = processor.tokenizer
        self.pad, self.end = words.pad_token_id, words.eos_token_id
        self.yes, self.no = words.convert_tokens_to_ids(["yes", "no"])
        self.colours = torch.tensor(words.convert_tokens_to_ids(list(digits.COLOURS)))
        self.texts: list[str] = []
        self.table = torch.zeros(0, 0, dtype=torch.long)
        self.lengths = torch.zeros(0, dtype=torch.long)
        matching = [
            digits.QUESTION.format(caption=digits.caption(colour, digit))
            for digit in digits.DIGITS
            for colour in digits.COLOURS
        ]
        self.add(processor, matching + [COLOUR_QUESTION.format(digit=digit) for digit in digits.DIGITS])

    def add(self, processor: LlavaProcessor, texts: list[str]) -> None:
        """Take up more questions to ask."""
        image, words = processor.image_token, processor.tokenizer
        prompts = [
            processor.apply_chat_template(
                [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}],
                add_generation_prompt=True,
            )
            for text in texts
        ]
        self.texts += texts
        self.prefix = torch.tensor(words(prompts[0].split(image)[0])["input_ids"])
        tails = [words(prompt.split(image)[1], add_special_tokens=False)["input_ids"] for prompt in prompts]
        self.lengths = torch.cat([self.lengths, torch.tensor([len(tail) for tail in tails])])
        table = torch.full((len(self.texts), int(self.lengths.max()) + 2), self.pad)
        old = len(self.table)
        table[:old, : self.table.shape[1]] = self.table
        for row, tail in zip(table[old:], tails, strict=True):
            row[: len(tail)] = torch.tensor(tail)
        self.table = table

    def draw(self, batch: int, generator: torch.Generator) -> Scenes:
        """Scenes for what this asks."""
        return draw(batch, generator)

    def ask(self, scenes: Scenes, cells: tuple[int, ...], count: int, generator: torch.Generator) -> Questions:
        """`count` questions about each scene, all about `cells` except those about an absent digit."""
        batch = len(scenes.digit)
        one = torch.arange(batch)[:, None]
        kind = torch.multinomial(_KINDS, batch * count, replacement=True, generator=generator).view(batch, count)
        asked = torch.tensor(cells)
        place = asked[torch.randint(len(cells), (batch, count), generator=generator)]
        digit, colour = scenes.digit.gather(1, place), scenes.colour.gather(1, place)

        missing = torch.multinomial((~scenes.shown.any(2)).float(), count, replacement=True, generator=generator)
        digit = torch.where(kind == _ABSENT, missing, digit)
        free = (~scenes.shown[one, digit]).float().flatten(0, 1)
        other = torch.multinomial(free, 1, generator=generator).view(batch, count)
        colour = torch.where((kind == _ABSENT) | (kind == _NEAR), other, colour)

        # Where the asked cells hold a digit twice, its colour is ambiguous: the question becomes "is it there?".
        inside = scenes.digit[:, asked]
        once = (inside[:, None, :] == digit[..., None]).sum(-1) == 1
        which = (kind == _COLOUR) & once
        row = torch.where(which, _DIGITS * _COLOURS + digit, digit * _COLOURS + colour)
        says_no = (kind == _ABSENT) | (kind == _NEAR)
        answer = torch.where(which, self.colours[colour], torch.where(says_no, self.no, self.yes))
        return self.answered(row, answer)

    def ask_once(self, scenes: Scenes, cells: tuple[int, ...], generator: torch.Generator) -> Questions:
        """One question about each scene, in the same shares."""
        return self.ask(scenes, cells, 1, generator)

    def answered(self, row: Tensor, answer: Tensor) -> Questions:
        """Questions by their index in :attr:`texts`, with their answers' tokens, both (batch, questions), long."""
        ids, at = self.table[row].clone(), self.lengths[row]
        ids.scatter_(2, at[..., None], answer[..., None])
        ids.scatter_(2, at[..., None] + 1, self.end)
        return Questions(ids, at, row)
