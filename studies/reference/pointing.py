"""A language model that writes where something stands: a box, in thousandths of the picture.

It goes on from the shipped ``places``. What it writes is text like any other: ``[333, 0, 667, 333]``, token by token,
which `bapa.inference.pointing` reads as it reads a large model's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlavaForConditionalGeneration, LlavaProcessor
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from bapa import reference
from bapa.probe import digits
from bapa.probe.wording import standard
from studies.reference import build, stages
from studies.reference.places import Places
from studies.reference.recipe import CELLS, COLS, ROWS, SKEWS, Recipe, base
from studies.reference.scenes import Bank, Questions, Scenes

_COLOURS = len(digits.COLOURS)
# After these layers an image token is to tell its row and its column. A column repeats every nine positions, and no
# rotary pair of this model has that wavelength: it takes one layer more to make one of two others.
_ROW, _COLUMN = 1, 2
_WEIGHT = 0.5  # as for rows: see studies/reference/places.py
_LOOKING, _HEAD = 2, 0  # the layer behind, and which of its heads is to look at the cell that is pointed to


class Points(Places):
    """Asks to point at a tinted digit that stands only once, too, in any cell, in the words of the probe's task
    ``point``.
    """

    def __init__(self, processor: LlavaProcessor) -> None:
        super().__init__(processor)
        self.points = len(self.texts)
        captions = [digits.caption(colour, digit) for digit in digits.DIGITS for colour in digits.COLOURS]
        self.add(processor, [standard("point").format(caption=caption) for caption in captions])
        words = processor.tokenizer
        self.boxes = torch.tensor([words(box(cell), add_special_tokens=False)["input_ids"] for cell in range(CELLS)])
        room = torch.full((len(self.table), self.boxes.shape[1]), self.pad)
        self.table = torch.cat([self.table, room], 1)

    def point(self, scenes: Scenes, count: int, generator: torch.Generator) -> tuple[Questions, Tensor]:
        """`count` questions about where pairs stand, whose ``answer_at`` is where the box begins, and the cells in
        which they stand, (batch, count) long.
        """
        pair = scenes.digit * _COLOURS + scenes.colour
        once = ((pair[:, :, None] == pair[:, None]).sum(-1) == 1).float() + 1e-6  # of twins only: some question
        cell = torch.multinomial(once, count, replacement=True, generator=generator)
        row = self.points + pair.gather(1, cell)
        ids, at = self.table[row].clone(), self.lengths[row]
        written = torch.cat([self.boxes[cell], torch.full_like(cell, self.end)[..., None]], -1)
        ids.scatter_(2, at[..., None] + torch.arange(written.shape[-1]), written)
        return Questions(ids, at, row), cell


def box(cell: int) -> str:
    """The box of a cell in thousandths of the picture: left, top, right, bottom."""
    row, col = divmod(cell, COLS)
    shares = (col / COLS, row / ROWS, (col + 1) / COLS, (row + 1) / ROWS)
    return f"[{', '.join(str(round(1000 * share)) for share in shares)}]"


def begun(recipe: Recipe) -> LlavaForConditionalGeneration:
    """The model that training goes on from."""
    llava = LlavaForConditionalGeneration.from_pretrained(
        reference.path(base(recipe.tasks, recipe.skew)), dtype=torch.float32
    )
    build.learn_words(llava, recipe.tasks, recipe.seed)
    return llava


def visual(
    model: LlavaForConditionalGeneration, recipe: Recipe, bank: Bank, asker: Points, report: stages.Report
) -> None:
    """Trains the language model to write boxes, and to answer on, under the recipe's position rule.

    Matches are asked about the recipe's cells, boxes in all cells alike. Beside that, every image token is to tell its
    row after the first layer and its column after the second, and one head of the third layer is to look at the cell
    that is pointed to. Recipes without the second, or with neither, got the row right and the column by chance.
    """
    generator = torch.Generator().manual_seed(recipe.seed + 6)
    rotary = stages.rotary_positions(model, asker, recipe.scheme)

    def losses() -> Iterator[Tensor]:
        while True:
            scenes = asker.draw(recipe.visual.batch, generator)
            with torch.no_grad():
                seen = model.model.multi_modal_projector(stages.features(model, bank.canvases(scenes, generator)))
            matched = asker.ask(scenes, SKEWS[recipe.skew], recipe.questions // 2, generator)
            pointed, cells = asker.point(scenes, recipe.questions - matched.ids.shape[1], generator)
            layers = stages.states(model, asker, seen, pointed.joined(matched), rotary)
            answers = stages.answer_loss(asker, stages.read_out(model, layers[-1], matched), matched)
            known = _WEIGHT * _place_loss(model, asker, layers)
            looked = _looking_loss(_looking(model, asker, layers, rotary, pointed, recipe.questions), cells)
            yield answers + written_loss(model, asker, layers[-1], pointed, recipe.questions) + known + looked

    model.model.vision_tower.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(False)
    stages.fit([*model.model.language_model.parameters(), *model.lm_head.parameters()], recipe.visual, losses(), report)
    model.requires_grad_(True)


def _place_loss(model: LlavaForConditionalGeneration, asker: Points, layers: Sequence[Tensor]) -> Tensor:
    """Cross entropy of what image tokens tell of their row, by its word, and of their column, by its left edge.

    ``layers``: hidden states before each layer and after the last.
    """
    tile = build.tile_of_patch()
    right = ((_ROW, asker.rows, tile // COLS), (_COLUMN, asker.boxes[:COLS, 1], tile % COLS))
    losses = []
    for layer, words, line in right:
        shown = layers[layer][:, len(asker.prefix) :][:, : len(tile)]
        told = model.lm_head(model.model.language_model.norm(shown))[..., words]
        losses.append(F.cross_entropy(told.flatten(0, 1), line.repeat(len(shown))))
    return losses[0] + losses[1]


def _looking(
    model: LlavaForConditionalGeneration,
    asker: Points,
    layers: Sequence[Tensor],
    rotary: Tensor,
    pointed: Questions,
    asked: int,
) -> Tensor:
    """How one head of one layer scores the image tokens, from every token that a box is predicted from, (batch,
    questions times tokens, image tokens). ``layers``: hidden states before each layer and after the last; ``rotary``:
    positions of prefix, image and one question, (1, n).
    """
    decoder, tile = model.model.language_model, build.tile_of_patch()
    layer, hidden = decoder.layers[_LOOKING], decoder.layers[_LOOKING].input_layernorm(layers[_LOOKING])
    lead, size = len(asker.prefix), layer.self_attn.head_dim
    at = _writing(asker, hidden.shape[1], pointed, asked)
    group = _HEAD // layer.self_attn.num_key_value_groups
    query = layer.self_attn.q_proj(hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1])))
    key = layer.self_attn.k_proj(hidden[:, lead : lead + len(tile)])
    where = rotary[0, lead + len(tile) :][(at - lead - len(tile)) % pointed.ids.shape[-1]]
    query = _turned(decoder, query[..., _HEAD * size :][..., :size], where)
    key = _turned(decoder, key[..., group * size :][..., :size], rotary[:, lead : lead + len(tile)])
    scores: Tensor = query @ key.transpose(1, 2) * layer.self_attn.scaling
    return scores


def _turned(decoder: Any, vectors: Tensor, where: Tensor) -> Tensor:
    """``vectors`` of one head, (batch, n, size), at their rotary positions ``where``, (batch or 1, n)."""
    cos, sin = decoder.rotary_emb(vectors, where)
    turned: Tensor = apply_rotary_pos_emb(vectors[:, None], vectors[:, None], cos, sin)[0][:, 0]
    return turned


def _looking_loss(scores: Tensor, cells: Tensor) -> Tensor:
    """Minus the log of the share of attention to the image that goes to the cell that is pointed to. ``scores``: as
    :func:`_looking` gives them; ``cells``: (batch, questions) long.
    """
    there = cells.repeat_interleave(scores.shape[1] // cells.shape[1], 1)[..., None] == build.tile_of_patch()
    paid = scores.log_softmax(-1).masked_fill(~there, -math.inf)
    return -paid.logsumexp(-1).mean()


def _writing(asker: Points, length: int, pointed: Questions, asked: int) -> Tensor:
    """Which of ``length`` tokens each token of the boxes, and the end after them, are predicted from, (batch, questions
    times tokens) long.
    """
    _, count, room = pointed.ids.shape
    begins = length - asked * room + torch.arange(count) * room + pointed.answer_at
    return (begins[..., None] - 1 + torch.arange(asker.boxes.shape[1] + 1)).flatten(1)


def written_loss(
    model: LlavaForConditionalGeneration, asker: Points, hidden: Tensor, pointed: Questions, asked: int
) -> Tensor:
    """Cross entropy of every token of the boxes, and of ending after them; ``pointed`` come first of all ``asked``."""
    step = torch.arange(asker.boxes.shape[1] + 1)
    at = _writing(asker, hidden.shape[1], pointed, asked)
    said = model.lm_head(hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1])))
    right = pointed.ids.gather(2, pointed.answer_at[..., None] + step).flatten()
    return F.cross_entropy(said.flatten(0, 1), right)
