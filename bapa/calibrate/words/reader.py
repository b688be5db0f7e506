"""A model that reads a grid of words: word embeddings stand in the place of the image tokens of nine cells, so that no
encoder and no picture is needed, and nothing but the language model can be uneven. Or pictures of the named things.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bapa.calibrate.words.names import NAMES
from bapa.checkpoints import Loaded
from bapa.errors import BapaError, ModelError, UnsupportedModelError
from bapa.inference.block import out_of_memory
from bapa.inference.forward import Asked, Forward, Inputs, fresh
from bapa.inference.geometry import token_grid
from bapa.inference.prompts import Prompt, Prompts

SIDE, CELLS, CANVAS_PX = 3, 9, 336
LEAST = 60  # names that one token says
Wording = tuple[str, str]  # a question and how its answer begins
OPENINGS: tuple[Wording, ...] = (
    ("What is in the picture?", "The picture shows a"),
    ("Name one thing in the picture.", "There is a"),
    ("Tell me what you can see.", "I can see a"),
)
MENTIONS: tuple[Wording, ...] = (  # of a thing, after which others are listed
    ("List the things in the picture.", "The picture shows: {thing},"),
    ("Read the picture row by row.", "{thing} {thing} {thing}"),
)


@dataclass(frozen=True)
class Reader:
    """A model and the names it reads.

    ``names``: said by one ``token`` each, (names,) long; ``half``: numbers of those that fits see, the others are kept
    for judging. ``prompt``: the tokens of a question with the beginning of its answer. ``drawn``: from numbers of names
    in the cells, (grids, 9), to what is shown, an image of each grid: of words (:func:`embedded`) the embeddings,
    (grids, image tokens, width); of pictures the pixels. ``shown``: the arguments of a forward with these images, for a
    prompt.
    """

    model: Any
    names: Sequence[str]
    token: Tensor
    half: Tensor
    prompts: Prompts
    prompt: Callable[[Wording], Prompt]
    drawn: Callable[[Tensor], Tensor]
    shown: Callable[[Tensor, Prompt], Inputs]

    def said(self, image: Tensor, wordings: Sequence[Wording]) -> Tensor:
        """Log-probabilities of what follows each of the ``wordings``, (grids, wordings, vocabulary), on the CPU;
        gradients flow back to the rule. ``image``: as ``drawn`` gives it.
        """
        prompts = [self.prompt(wording) for wording in wordings]
        alike = [len(set(ids)) == 1 for ids in zip(*(one.ids for one in prompts), strict=False)]
        shared = alike.index(False) if False in alike else len(prompts[0]) - 1
        forward = Forward(self.model, self.prompts, shared)
        asked = Asked(self.shown(image, prompts[0]), [prompts] * len(image))
        return forward.continued(asked).float().log_softmax(-1).cpu()

    def naming(self, image: Tensor, wordings: Sequence[Wording]) -> Tensor:
        """Log-probabilities of all names, (grids, wordings, names)."""
        return self.said(image, wordings)[..., self.token]

    def mentioning(self, grid: Tensor, wording: Wording) -> Tensor:
        """Log-probabilities of the things of one grid, (9,), after each is mentioned, (9 mentions, 9 things)."""
        question, begun = wording
        wordings = [(question, begun.format(thing=self.names[number])) for number in grid.tolist()]
        return self.said(self.drawn(grid[None]), wordings)[0][:, self.token[grid]]

    def of(self, numbers: Tensor) -> Reader:
        """The same with the names of these ``numbers`` alone."""
        names = [self.names[number] for number in numbers.tolist()]
        half = torch.isin(numbers, self.half).nonzero()[:, 0]
        drawn = partial(_of_these, self.drawn, numbers)
        return replace(self, names=names, token=self.token[numbers], half=half, drawn=drawn)

    def others(self) -> Reader:
        """The same with the names that no fit sees."""
        numbers = torch.arange(len(self.names))
        return self.of(numbers[~torch.isin(numbers, self.half)])

    def plainly(self, image: Tensor, wording: Wording) -> Tensor:
        """What :meth:`said` gives for one wording, (grids, vocabulary), by a plain forward that shares nothing."""
        inputs = fresh(self.shown(image, self.prompt(wording)))
        logits: Tensor = self.model(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1]
        return logits.float().log_softmax(-1).cpu()

    def checked(self) -> Reader:
        """Itself.

        Raises UnsupportedModelError where questions that share the reading of an image are not answered as alone.
        """
        image, asked = self.drawn(torch.arange(CELLS)[None]), OPENINGS[:2]
        agrees = Forward(self.model, self.prompts, 0).agrees
        try:
            with torch.no_grad():
                together = self.said(image, asked)[0]
                alike = all(
                    agrees(one, self.plainly(image, told)[0]) for one, told in zip(together, asked, strict=True)
                )
        except BapaError:
            raise
        except Exception as error:  # a cache that cannot be repeated or continued, in whatever way it says so
            if out_of_memory(error):
                raise
            raise _unshared(self.model) from error
        if not alike:
            raise _unshared(self.model)
        return self


def _of_these(drawn: Callable[[Tensor], Tensor], numbers: Tensor, grids: Tensor) -> Tensor:
    return drawn(numbers[grids])


def _unshared(model: Any) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{type(model).__name__} does not answer several questions about one reading of an image as it answers each "
        "alone, and a fit reads so; use: bapa calibrate MODEL --probe PROBE"
    )


def halved(names: Sequence[str]) -> Tensor:
    """Numbers of the names that fits see: told by each name itself, so that a name is in the same half in every list of
    names.
    """
    return torch.tensor([n for n, name in enumerate(names) if hashlib.sha256(name.encode()).digest()[0] % 2 == 0])


def embedded(model: Any, token: Tensor, cell: Tensor) -> Callable[[Tensor], Tensor]:
    """From numbers of names in the cells, (grids, 9), to their embeddings, (grids, image tokens, width). ``token``: of
    each name, (names,); ``cell``: in which each image token lies, (image tokens,) long; where it lies in none, 9, the
    mean of all names stands.
    """

    def drawn(grids: Tensor) -> Tensor:
        table = model.get_input_embeddings()
        there = table(token[grids].to(table.weight.device)).detach()
        neutral = table(token.to(table.weight.device)).detach().mean(0).expand(len(grids), 1, -1)
        return torch.cat([there, neutral], 1)[:, cell]

    return drawn


def reader(loaded: Loaded, size: tuple[int, int] = (CANVAS_PX, CANVAS_PX), names: Sequence[str] = NAMES) -> Reader:
    """``loaded`` as a reader of words, tried out: of those of ``names`` that its tokenizer says by one token.
    ``size``: (height, width) of the picture in whose place they stand, in pixels.

    Raises UnsupportedModelError where its image tokens do not form one grid of cells, or take no embeddings from
    outside; ModelError where its tokenizer says too few names by one token.
    """
    model = loaded.model
    blank = np.full((*size, 3), 128, np.uint8)
    prompts = Prompts(loaded.processor, size, chat=loaded.chat)
    forward = Forward(model, prompts, 0)
    question = OPENINGS[0][0]
    known, token = one_token(loaded.processor.tokenizer, names)
    if not enough(known):
        raise ModelError(
            f"the tokenizer says {len(known)} of {len(names)} common English nouns by one token, and {LEAST} are "
            "needed; use: bapa calibrate MODEL --probe PROBE"
        )
    cell = _cells(loaded, prompts.inputs([blank], question))

    @cache
    def seen(count: int) -> Inputs:
        found = forward.see(Asked(prompts.inputs([blank] * count, question), [])).inputs
        if "mm_encoder_outputs" not in found:
            raise UnsupportedModelError(
                f"{type(model).__name__} takes no image features from outside, so it cannot be shown words; "
                "models of transformers 5 with get_image_features can"
            )
        return found

    def shown(image: Tensor, asked: Prompt) -> Inputs:
        inputs = seen(len(image))
        features = inputs["mm_encoder_outputs"]["image"]
        return {**asking(inputs, asked, len(image)), "mm_encoder_outputs": {"image": _instead(features, image)}}

    drawn = embedded(model, token, cell)
    return Reader(model, known, token, halved(known), prompts, prompting(loaded, size), drawn, shown).checked()


def enough(names: Sequence[str]) -> bool:
    """Whether grids can be drawn of either half, with as many names that are absent."""
    half = len(halved(names))
    return len(names) >= LEAST and min(half, len(names) - half) >= LEAST // 3


def prompting(loaded: Loaded, size: tuple[int, int]) -> Callable[[Wording], Prompt]:
    """The tokens of a question about a picture of ``size``, with the beginning of its answer."""

    @cache
    def prompt(wording: Wording) -> Prompt:
        before = loaded.chat.opening
        space = " " if before and not before[-1].isspace() else ""
        chat = replace(loaded.chat, opening=f"{before}{space}{wording[1]}")
        return Prompts(loaded.processor, size, chat=chat)(wording[0])

    return prompt


def asking(inputs: Inputs, asked: Prompt, count: int) -> Inputs:
    """``inputs`` of ``count`` images with another prompt."""
    device = inputs["input_ids"].device
    types = {name: torch.tensor(values) for name, values in asked.types.items()}
    texts = {"input_ids": torch.tensor(asked.ids), "attention_mask": torch.ones(len(asked), dtype=torch.long), **types}
    return {**inputs, **{name: value.expand(count, -1).to(device) for name, value in texts.items()}}


def _cells(loaded: Loaded, inputs: Inputs) -> Tensor:
    """The cell of each image token; 9 of those in rows and columns that would make one cell larger than another."""
    found = token_grid(loaded.model.config, inputs)
    if found is None or min(found) < SIDE:
        raise UnsupportedModelError(
            f"the image tokens of {loaded.name} do not form one grid of {SIDE} x {SIDE} cells or more, so no words can "
            "stand there (pictures are cut into tiles, or tokens are joined); use: bapa calibrate MODEL --probe PROBE"
        )
    rows, cols = map(_along, found)
    inside = (rows >= 0)[:, None] & (cols >= 0)
    return torch.where(inside, rows[:, None] * SIDE + cols, CELLS).flatten()


def _along(side: int) -> Tensor:
    """Rows or columns of cells by image token, (side,); -1 at the edges where ``side`` is no multiple of three."""
    block = side // SIDE
    found = (torch.arange(side) - side % SIDE // 2).div(block, rounding_mode="floor")
    return torch.where(found < SIDE, found, -1)


def _instead(features: Any, image: Tensor) -> Any:
    """``features`` of an encoder with ``image`` in their place, and zeros in that of what goes to deeper layers."""
    pooled, made = features.pooler_output, copy(features)
    given = [pooled] if isinstance(pooled, Tensor) else list(pooled)
    if sum(one.numel() for one in given) != image.numel():
        raise UnsupportedModelError(
            f"the encoder gives {[tuple(one.shape) for one in given]} for {len(image)} pictures, and words have "
            f"{tuple(image.shape)}: features must go into the language model token by token"
        )
    rows = image.flatten(0, 1).to(given[0]).split([one.numel() // image.shape[-1] for one in given])
    placed = [row.reshape(one.shape) for row, one in zip(rows, given, strict=True)]
    made.pooler_output = placed[0] if isinstance(pooled, Tensor) else type(pooled)(placed)
    deeper = getattr(features, "deepstack_features", None)
    if deeper is not None:
        made.deepstack_features = _zeros(deeper)
    return made


def _zeros(features: Any) -> Any:
    """As many numbers, in as many lists, all zero."""
    return torch.zeros_like(features) if isinstance(features, Tensor) else type(features)(map(_zeros, features))


def one_token(tokenizer: Any, names: Sequence[str]) -> tuple[list[str], Tensor]:
    """Those of ``names`` that are one token behind a word, and these tokens."""
    before = tokenizer.encode("a", add_special_tokens=False)
    found = {name: tokenizer.encode(f"a {name}", add_special_tokens=False) for name in names}
    said = {
        name: ids[-1]
        for name, ids in found.items()
        if len(ids) == len(before) + 1 and ids[:-1] == before and tokenizer.decode(ids[-1:]).strip() == name
    }
    return list(said), torch.tensor(list(said.values()))
