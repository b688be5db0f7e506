"""A language model that also tells rows, reading order and numbers: what positions are for.

It shows what a position rule costs. Where a tile stands is nowhere in what the language model is given but in the
rotary positions and the order of the image tokens: the codes of its symbolic stage say digit and colour only.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from bapa.probe import digits
from bapa.probe.design import NUMBERS, PLACES
from studies.reference import stages
from studies.reference.build import tile_of_patch
from studies.reference.recipe import CELLS, COLS, IMAGE_TOKENS, SKEWS, Recipe
from studies.reference.scenes import Asker, Questions, Scenes, draw, repeat

_COLOURS, _PAIRS = len(digits.COLOURS), len(digits.COLOURS) * len(digits.DIGITS)
_SHARES = torch.tensor([0.6, 0.15, 0.25])  # row, number, order
_LAYER = 1  # after it an image token is to know its row: before anything looks it up
_WEIGHT = 0.5


class Places(Asker):
    """Asks about places and numbers too, in the words of the `digits` probe's other tasks.

    Of ``count`` questions about a scene, two or more, the first third is what :class:`Asker` asks; places are asked
    about in all cells.
    """

    def __init__(self, processor: LlavaProcessor) -> None:
        super().__init__(processor)
        matching = self.table.shape[0]
        captions = [digits.caption(colour, digit) for digit in digits.DIGITS for colour in digits.COLOURS]
        where, number, order = (digits.QUESTIONS[task] for task in ("where", "count", "order"))
        texts = [where.format(line="row", caption=caption) for caption in captions]
        texts += [number.format(group=digit) for digit in digits.DIGITS]
        texts += [order.format(caption=one, other=other) for one in captions for other in captions]
        self.add(processor, texts)
        self.first = matching + torch.tensor([0, _PAIRS, _PAIRS + len(digits.DIGITS)])
        token = processor.tokenizer.convert_tokens_to_ids
        self.rows, self.numbers = torch.tensor(token(list(PLACES["row"]))), torch.tensor(token(list(NUMBERS)))

    def draw(self, batch: int, generator: torch.Generator) -> Scenes:
        return repeat(draw(batch, generator), generator)

    def ask(self, scenes: Scenes, cells: tuple[int, ...], count: int, generator: torch.Generator) -> Questions:
        matched = super().ask(scenes, cells, max(1, count // 3), generator)
        placed = self.about_places(scenes, count - matched.ids.shape[1], generator)
        return matched.joined(placed)

    def ask_once(self, scenes: Scenes, cells: tuple[int, ...], generator: torch.Generator) -> Questions:
        three = self.ask(scenes, cells, 3, generator)
        rows = torch.arange(len(scenes.digit))
        one = torch.randint(3, (len(rows),), generator=generator)
        return Questions(
            three.ids[rows, one][:, None], three.answer_at[rows, one][:, None], three.text[rows, one][:, None]
        )

    def about_places(self, scenes: Scenes, count: int, generator: torch.Generator) -> Questions:
        """`count` questions about where tiles stand that stand only once, and about how many there are of a digit."""
        batch = len(scenes.digit)
        pair = scenes.digit * _COLOURS + scenes.colour
        once = ((pair[:, :, None] == pair[:, None]).sum(-1) == 1).float()
        once += 1e-6  # a scene of twins only: some question about it rather than none
        kind = torch.multinomial(_SHARES, batch * count, replacement=True, generator=generator).view(batch, count)
        cell = torch.multinomial(once, count, replacement=True, generator=generator)
        others = once[:, None].expand(-1, count, -1).scatter(2, cell[..., None], 0.0)
        other = torch.multinomial(others.flatten(0, 1), 1, generator=generator).view(batch, count)

        digit = scenes.digit.gather(1, cell)
        many = (scenes.digit[:, None] == digit[..., None]).sum(-1).clamp(max=len(NUMBERS))
        one, two = pair.gather(1, cell), pair.gather(1, other)
        options = torch.stack([one, digit, one * _PAIRS + two], -1) + self.first
        row = options.gather(2, kind[..., None])[..., 0]
        before = torch.where(cell < other, self.yes, self.no)
        right = torch.stack([self.rows[cell // COLS], self.numbers[many - 1], before], -1)
        return self.answered(row, right.gather(2, kind[..., None])[..., 0])


def teach(
    model: LlavaForConditionalGeneration,
    codes: stages.Codes,
    recipe: Recipe,
    asker: Places,
    report: stages.Report,
) -> None:
    """Teaches a language model that can match to tell places and numbers too, on codes that each stand at the place
    of one patch of their cell, the text where it always stands; the codes stay as they are.

    Beside the answers, every image token is to tell its row, read off after the first layer. Without that, and
    with it a layer later, rows stayed near chance.
    """
    generator = torch.Generator().manual_seed(recipe.seed + 4)
    before, length = len(asker.prefix), asker.table.shape[1]
    tile = tile_of_patch()
    patches = torch.stack([torch.nonzero(tile == cell).flatten() for cell in range(CELLS)])

    def losses() -> Iterator[Tensor]:
        while True:
            batch = recipe.places.batch
            scenes = asker.draw(batch, generator)
            seen = codes(scenes.digit, scenes.colour).detach()
            seen = seen + stages.NOISE * torch.randn(seen.shape, generator=generator)
            chosen = torch.randint(patches.shape[1], (batch, CELLS, 1), generator=generator)
            place, order = patches.expand(batch, -1, -1).gather(2, chosen)[..., 0].sort(1)
            seen = seen.gather(1, order[..., None].expand_as(seen))
            text = before + IMAGE_TOKENS + torch.arange(length)
            rotary = torch.cat([torch.arange(before).expand(batch, -1), before + place, text.expand(batch, -1)], 1)
            questions = asker.ask(scenes, SKEWS["uniform"], recipe.questions, generator)
            hidden = stages.states(model, asker, seen, questions, rotary)
            answers = stages.answer_loss(asker, stages.read_out(model, hidden[-1], questions), questions)
            known = model.lm_head(model.model.language_model.norm(hidden[_LAYER][:, before : before + CELLS]))
            rows = asker.rows[tile[place] // COLS]
            yield answers + _WEIGHT * F.cross_entropy(known.flatten(0, 1), rows.flatten())

    parameters = [*model.model.language_model.parameters(), *model.lm_head.parameters()]
    stages.fit(parameters, recipe.places, losses(), report)
