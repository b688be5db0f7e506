"""The four stages of training: encoder, language, connector, visual.

Each takes the model as the stage before left it and changes one part of it. The first three never see the skew;
together they play the part of a pre-trained vision encoder, a pre-trained language model and their alignment. Only the
visual stage asks about some cells more than others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from bapa.attach import balanced, positions
from bapa.probe.digits import COLOURS, DIGITS
from bapa.schemes import parse
from studies.reference.build import tile_of_patch
from studies.reference.recipe import CELLS, IMAGE_TOKENS, SKEWS, Recipe, Stage
from studies.reference.scenes import Asker, Bank, Questions, draw

Report = Callable[[int, str], None]
_EVERYWHERE = SKEWS["uniform"]
NOISE = 0.05
_GAP = 40


class Codes(nn.Module):
    """One embedding per digit and per colour; their sum stands for a tile where there is no picture."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.digit = nn.Parameter(0.08 * torch.randn(len(DIGITS), width))
        self.colour = nn.Parameter(0.08 * torch.randn(len(COLOURS), width))

    def forward(self, digit: Tensor, colour: Tensor) -> Tensor:
        return self.digit[digit] + self.colour[colour]


def encoder(model: LlavaForConditionalGeneration, recipe: Recipe, bank: Bank, report: Report) -> None:
    """Teaches the vision tower to tell in every patch the digit and the colour of its tile.

    All cells alike, or those of the recipe's `encoder_skew` only: the tower then never learns to read elsewhere.
    """
    tower = model.model.vision_tower
    head = nn.Linear(tower.config.hidden_size, len(DIGITS) + len(COLOURS))
    generator = torch.Generator().manual_seed(recipe.seed)
    cells = list(SKEWS[recipe.encoder_skew])
    tile = tile_of_patch()
    read = torch.isin(tile, torch.tensor(cells))

    def losses() -> Iterator[Tensor]:
        while True:
            scenes = draw(recipe.encoder.batch, generator)
            patches = head(features(model, bank.canvases(scenes, generator)))
            tiles = patches.view(-1, CELLS // 3, 3, CELLS // 3, 3, patches.shape[-1]).mean((2, 4)).flatten(1, 2)
            by_patch = _read(patches[:, read], scenes.digit[:, tile[read]], scenes.colour[:, tile[read]])
            yield by_patch + 0.5 * _read(tiles[:, cells], scenes.digit[:, cells], scenes.colour[:, cells])

    fit([*tower.parameters(), *head.parameters()], recipe.encoder, losses(), report, decay=0.05)


def language(model: LlavaForConditionalGeneration, codes: Codes, recipe: Recipe, asker: Asker, report: Report) -> None:
    """Teaches the language model to answer about nine codes at random places, at a random distance from the text."""
    generator = torch.Generator().manual_seed(recipe.seed + 1)
    before, length = len(asker.prefix), asker.table.shape[1]

    def losses() -> Iterator[Tensor]:
        while True:
            batch = recipe.language.batch
            scenes = draw(batch, generator)
            seen = codes(scenes.digit, scenes.colour)
            seen = seen + NOISE * torch.randn(seen.shape, generator=generator)
            places = before + torch.rand(batch, IMAGE_TOKENS, generator=generator).argsort(1)[:, :CELLS].sort(1).values
            resume = places[:, -1:] + 1 + torch.randint(_GAP, (batch, 1), generator=generator)
            rotary = torch.cat([torch.arange(before).expand(batch, -1), places, resume + torch.arange(length)], 1)
            questions = asker.ask(scenes, _EVERYWHERE, recipe.questions, generator)
            yield answer_loss(asker, answer_logits(model, asker, seen, questions, rotary), questions)

    parameters = [*model.model.language_model.parameters(), *model.lm_head.parameters(), *codes.parameters()]
    fit(parameters, recipe.language, losses(), report)


def connector(model: LlavaForConditionalGeneration, codes: Codes, recipe: Recipe, bank: Bank, report: Report) -> None:
    """Fits the projector so that each patch becomes its tile's code; everything else stays."""
    generator = torch.Generator().manual_seed(recipe.seed + 2)
    tile = tile_of_patch()

    def losses() -> Iterator[Tensor]:
        while True:
            scenes = draw(recipe.connector.batch, generator)
            with torch.no_grad():
                seen = features(model, bank.canvases(scenes, generator))
                target = codes(scenes.digit, scenes.colour)[:, tile]
            yield F.mse_loss(model.model.multi_modal_projector(seen), target) / target.var()

    fit(model.model.multi_modal_projector.parameters(), recipe.connector, losses(), report)


def visual(model: LlavaForConditionalGeneration, recipe: Recipe, bank: Bank, asker: Asker, report: Report) -> None:
    """Trains the language model on pictures, asked about the skew's cells only, under the recipe's position rule.

    The projector stays as it is: its features hardly tell the cell, so where to look must be learned from positions.
    Under a rule that is more than one set of positions the questions cannot share a picture, which takes longer.
    """
    generator = torch.Generator().manual_seed(recipe.seed + 3)
    cells = SKEWS[recipe.skew]
    together = parse(recipe.scheme).positions_only
    rotary = rotary_positions(model, asker, recipe.scheme) if together else None

    def losses() -> Iterator[Tensor]:
        while True:
            scenes = asker.draw(recipe.visual.batch, generator)
            pixels = bank.canvases(scenes, generator)
            questions = asker.ask(scenes, cells, recipe.questions, generator)
            if rotary is None:
                with balanced(model, recipe.scheme):
                    yield answer_loss(asker, lone_logits(model, asker, pixels, questions), questions)
            else:
                with torch.no_grad():
                    seen = model.model.multi_modal_projector(features(model, pixels))
                yield answer_loss(asker, answer_logits(model, asker, seen, questions, rotary), questions)

    model.model.vision_tower.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(False)
    fit([*model.model.language_model.parameters(), *model.lm_head.parameters()], recipe.visual, losses(), report)
    model.requires_grad_(True)


def features(model: LlavaForConditionalGeneration, pixel_values: Tensor) -> Tensor:
    """Patch features of the vision tower as LLaVA takes them, (batch, 81, width)."""
    return model.model.vision_tower(pixel_values, output_hidden_states=True).hidden_states[-1][:, 1:]


@torch.no_grad()
def rotary_positions(model: LlavaForConditionalGeneration, asker: Asker, scheme: str) -> Tensor:
    """Positions of one prompt as :func:`bapa.balance` sets them, (1, prefix + 81 + longest question)."""
    image = torch.full((IMAGE_TOKENS,), model.config.image_token_id)
    ids = torch.cat([asker.prefix, image, torch.full((asker.table.shape[1],), asker.pad)])[None]
    with balanced(model, scheme):
        return positions(model, input_ids=ids, attention_mask=torch.ones_like(ids))[0]


def answer_logits(
    model: LlavaForConditionalGeneration, asker: Asker, seen: Tensor, questions: Questions, rotary: Tensor
) -> Tensor:
    """Logits of the answer and of what follows it, (batch, questions, 2, vocabulary); see :func:`states`."""
    return read_out(model, states(model, asker, seen, questions, rotary)[-1], questions)


def read_out(model: LlavaForConditionalGeneration, hidden: Tensor, questions: Questions) -> Tensor:
    """The same from the last of :func:`states`."""
    batch, count, length = questions.ids.shape
    at = hidden.shape[1] - count * length + torch.arange(count) * length + questions.answer_at
    both = torch.stack([at - 1, at], -1).flatten(1)
    read = hidden.gather(1, both[..., None].expand(-1, -1, hidden.shape[-1]))
    return model.lm_head(read).view(batch, count, 2, -1)


def lone_logits(
    model: LlavaForConditionalGeneration, asker: Asker, pixel_values: Tensor, questions: Questions
) -> Tensor:
    """The same, each question behind a picture of its own, through the whole model as it stands balanced."""
    batch, count, _ = questions.ids.shape
    image = torch.full((IMAGE_TOKENS,), model.config.image_token_id)
    lead = torch.cat([asker.prefix, image]).expand(batch * count, -1)
    ids = torch.cat([lead, questions.ids.flatten(0, 1)], 1)
    pictures = pixel_values.repeat_interleave(count, 0)
    logits = model(input_ids=ids, pixel_values=pictures, attention_mask=torch.ones_like(ids)).logits
    at = lead.shape[1] + questions.answer_at.flatten()
    rows = torch.arange(len(at))
    return torch.stack([logits[rows, at - 1], logits[rows, at]], 1).view(batch, count, 2, -1)


def states(
    model: LlavaForConditionalGeneration, asker: Asker, seen: Tensor, questions: Questions, rotary: Tensor
) -> tuple[Tensor, ...]:
    """Hidden states before each layer and after the last, each (batch, n, width), several questions to one image.

    The questions stand side by side behind the image, blind to each other and all at the positions of the first, which
    gives each the states it would have alone. `seen`: image embeddings (batch, n, width); `rotary`: positions of
    prefix, image and one question, (1 or batch, n).
    """
    batch, count, length = questions.ids.shape
    lead = len(asker.prefix) + seen.shape[1]
    embed = model.get_input_embeddings()
    text = embed(questions.ids.flatten(1))
    embeddings = torch.cat([embed(asker.prefix).expand(batch, -1, -1), seen, text], 1)
    block = torch.cat([torch.zeros(lead, dtype=torch.long), 1 + torch.arange(count).repeat_interleave(length)])
    sees = ((block[:, None] == block) | (block == 0)).tril()
    packed = torch.cat([rotary[:, :lead], rotary[:, lead:].repeat(1, count)], 1)
    return model.model.language_model(
        inputs_embeds=embeddings,
        attention_mask=sees[None, None],
        position_ids=packed.expand(batch, -1),
        use_cache=False,
        output_hidden_states=True,
    ).hidden_states


def answer_loss(asker: Asker, logits: Tensor, questions: Questions) -> Tensor:
    """Cross entropy of the answer, and a little of ending after it; ``logits`` of :func:`answer_logits`."""
    said, after = logits.flatten(0, 1).unbind(1)
    answer = questions.ids.gather(2, questions.answer_at[..., None]).flatten()
    return F.cross_entropy(said, answer) + 0.1 * F.cross_entropy(after, torch.full_like(answer, asker.end))


def _read(logits: Tensor, digit: Tensor, colour: Tensor) -> Tensor:
    by_digit, by_colour = logits.flatten(0, -2).split([len(DIGITS), len(COLOURS)], -1)
    return F.cross_entropy(by_digit, digit.flatten()) + 0.5 * F.cross_entropy(by_colour, colour.flatten())


def fit(
    parameters: Iterable[nn.Parameter], stage: Stage, losses: Iterator[Tensor], report: Report, decay: float = 0.01
) -> None:
    """Takes the stage's steps down `losses`; reports each step's running loss."""
    weights = list(parameters)
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=stage.rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, stage.rate, total_steps=stage.steps, pct_start=0.1)
    running = None
    for step in range(1, stage.steps + 1):
        loss = next(losses)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        running = loss.item() if running is None else 0.95 * running + 0.05 * loss.item()
        report(step, f"loss {running:.3f}")
