"""A language model that writes where something stands: a box, in thousandths of the picture.

It goes on from the shipped ``places``. What it writes is text like any other: ``[333, 0, 667, 333]``, token by token,
which `bapa.inference.pointing` reads as it reads a large model's.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from bapa import reference
from bapa.probe import digits
from bapa.probe.wording import standard
from studies.reference import build, stages
from studies.reference.places import Places
from studies.reference.recipe import CELLS, COLS, ROWS, SKEWS, Recipe, base
from studies.reference.scenes import Bank, Questions, Scenes

_COLOURS = len(digits.COLOURS)
_LAYER, _WEIGHT = 1, 0.5  # as for rows: see studies/reference/places.py


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

    def point(self, scenes: Scenes, count: int, generator: torch.Generator) -> Questions:
        """`count` questions about where pairs stand; ``answer_at`` is where the box begins."""
        pair = scenes.digit * _COLOURS + scenes.colour
        once = ((pair[:, :, None] == pair[:, None]).sum(-1) == 1).float() + 1e-6  # of twins only: some question
        cell = torch.multinomial(once, count, replacement=True, generator=generator)
        row = self.points + pair.gather(1, cell)
        ids, at = self.table[row].clone(), self.lengths[row]
        written = torch.cat([self.boxes[cell], torch.full_like(cell, self.end)[..., None]], -1)
        ids.scatter_(2, at[..., None] + torch.arange(written.shape[-1]), written)
        return Questions(ids, at, row)


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

    Beside that, every image token is to tell its row and its column after the first layer. That is not enough for the
    columns: boxes get their row right, and their column by chance.
    """
    generator = torch.Generator().manual_seed(recipe.seed + 6)
    rotary = stages.rotary_positions(model, asker, recipe.scheme)

    def losses() -> Iterator[Tensor]:
        while True:
            scenes = asker.draw(recipe.visual.batch, generator)
            with torch.no_grad():
                seen = model.model.multi_modal_projector(stages.features(model, bank.canvases(scenes, generator)))
            matched = asker.ask(scenes, SKEWS["uniform"], recipe.questions // 2, generator)
            pointed = asker.point(scenes, recipe.questions - matched.ids.shape[1], generator)
            layers = stages.states(model, asker, seen, pointed.joined(matched), rotary)
            answers = stages.answer_loss(asker, stages.read_out(model, layers[-1], matched), matched)
            known = _WEIGHT * _place_loss(model, asker, layers[_LAYER])
            yield answers + written_loss(model, asker, layers[-1], pointed, recipe.questions) + known

    model.model.vision_tower.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(False)
    stages.fit([*model.model.language_model.parameters(), *model.lm_head.parameters()], recipe.visual, losses(), report)
    model.requires_grad_(True)


def _place_loss(model: LlavaForConditionalGeneration, asker: Points, hidden: Tensor) -> Tensor:
    """Cross entropy of what image tokens tell of their row, by its word, and of their column, by its left edge."""
    tile = build.tile_of_patch()
    shown = hidden[:, len(asker.prefix) :][:, : len(tile)]
    told = model.lm_head(model.model.language_model.norm(shown))
    edges = asker.boxes[:COLS, 1]
    right = ((asker.rows, tile // COLS), (edges, tile % COLS))
    losses = [F.cross_entropy(told[..., words].flatten(0, 1), line.repeat(len(hidden))) for words, line in right]
    return losses[0] + losses[1]


def written_loss(
    model: LlavaForConditionalGeneration, asker: Points, hidden: Tensor, pointed: Questions, asked: int
) -> Tensor:
    """Cross entropy of every token of the boxes, and of ending after them; ``pointed`` come first of all ``asked``."""
    _, count, length = pointed.ids.shape
    begins = hidden.shape[1] - asked * length + torch.arange(count) * length + pointed.answer_at
    step = torch.arange(asker.boxes.shape[1] + 1)
    at = (begins[..., None] - 1 + step).flatten(1)
    said = model.lm_head(hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1])))
    right = pointed.ids.gather(2, pointed.answer_at[..., None] + step).flatten()
    return F.cross_entropy(said.flatten(0, 1), right)
