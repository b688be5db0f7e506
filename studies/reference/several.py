"""Models of several pictures: the images of one prompt, or the stills of one clip.

They go on from a shipped reference model, whose tower reads nine tiles of one canvas. A picture here is one such tile:
the tower keeps the position embeddings of its middle tile and drops the others. Its features of a tile alone are those
of the tile on a canvas to 0.1 % of their variance, because it was made to look within tiles; and the last three of
eight images fill the 27 tokens in front of the text, as the bottom row of a canvas does.

With the tasks ``which`` a model learns to tell which image shows what, too: what positions of several images are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaProcessor,
)

from bapa import reference
from bapa.attach import balanced, positions
from bapa.probe import digits
from bapa.probe.design import INDICES
from studies.reference import build, stages
from studies.reference.recipe import CELL_PX, MOST_PICTURES, MOST_TOLD_APART, PATCH_PX, Recipe, asked, base
from studies.reference.scenes import Asker, Bank, Questions, Scenes, draw

Model: TypeAlias = LlavaForConditionalGeneration | LlavaOnevisionForConditionalGeneration
_MIDDLE = 4  # the tile whose position embeddings a picture of its own keeps
_FEWEST = 2
_PATCHES = (CELL_PX // PATCH_PX) ** 2
_COLOURS = len(digits.COLOURS)
_LAYER, _WEIGHT = 1, 0.5  # as for rows of a canvas: see studies/reference/places.py


class Which(Asker):
    """Asks which image shows a tinted digit, too, in the words of the `digits` probe; any image may be asked about.

    Of ``count`` questions about a scene, two or more, the first third is what :class:`Asker` asks.
    """

    def __init__(self, processor: LlavaProcessor) -> None:
        super().__init__(processor)
        self.first = len(self.texts)
        captions = [digits.caption(colour, digit) for digit in digits.DIGITS for colour in digits.COLOURS]
        self.add(processor, [digits.QUESTIONS["where"].format(line="image", caption=caption) for caption in captions])
        self.indices = torch.tensor(processor.tokenizer.convert_tokens_to_ids(list(INDICES[:MOST_TOLD_APART])))

    def ask(self, scenes: Scenes, cells: tuple[int, ...], count: int, generator: torch.Generator) -> Questions:
        matched = super().ask(scenes, cells, max(1, count // 3), generator)
        told = self.about_images(scenes, count - matched.ids.shape[1], generator)
        return matched.joined(told)

    def about_images(self, scenes: Scenes, count: int, generator: torch.Generator) -> Questions:
        """`count` questions about the index of images whose content stands only once."""
        pair = scenes.digit * _COLOURS + scenes.colour
        once = ((pair[:, :, None] == pair[:, None]).sum(-1) == 1).float() + 1e-6  # of twins only: some question
        image = torch.multinomial(once, count, replacement=True, generator=generator)
        return self.answered(self.first + pair.gather(1, image), self.indices[image])


def begun(recipe: Recipe) -> Model:
    """The model that training goes on from: a shipped reference, for several pictures."""
    llava = LlavaForConditionalGeneration.from_pretrained(
        reference.path(base(recipe.tasks, recipe.skew)), dtype=torch.float32
    )
    build.learn_words(llava, recipe.tasks, recipe.seed)
    return adapted(llava, recipe.tasks)


@torch.no_grad()
def adapted(llava: LlavaForConditionalGeneration, tasks: str) -> Model:
    """A model of nine tiles as one of several pictures of one tile each, with all it has learned."""
    config = llava.config
    common = {
        "vision_config": type(config.vision_config)(**{**config.vision_config.to_dict(), "image_size": CELL_PX}),
        "text_config": config.text_config,
        "image_token_index": config.image_token_index,
        "vision_feature_layer": config.vision_feature_layer,
        "vision_feature_select_strategy": config.vision_feature_select_strategy,
        "tie_word_embeddings": False,
    }
    learned = llava.state_dict()
    name = next(name for name in learned if name.endswith("position_embedding.weight"))
    kept = 1 + torch.nonzero(build.tile_of_patch() == _MIDDLE).flatten()
    learned[name] = torch.cat([learned[name][:1], learned[name][kept]])
    model: Model
    if tasks != "clip":
        model = LlavaForConditionalGeneration(LlavaConfig(**common, image_seq_length=_PATCHES))
    else:
        video = build.tokenizer(tasks).convert_tokens_to_ids(build.VIDEO)
        shapes = {"image_grid_pinpoints": [[CELL_PX, CELL_PX]], "vision_aspect_ratio": "anyres_max_9"}
        model = LlavaOnevisionForConditionalGeneration(
            LlavaOnevisionConfig(**common, video_token_index=video, **shapes)
        )
        learned["model.image_newline"] = torch.zeros_like(model.model.image_newline)  # behind a clip; it tells nothing
    model.load_state_dict(learned)
    return model


def features(model: Model, pictures: Tensor) -> Tensor:
    """What the language model is given of `pictures`, (batch, pictures, 3, 24, 24): (batch, tokens, width)."""
    if isinstance(model, LlavaForConditionalGeneration):
        found = model.model.get_image_features(pictures.flatten(0, 1)).pooler_output
        return torch.stack(list(found)).view(len(pictures), -1, found[0].shape[-1])
    clips: Tensor = model.model.get_video_features(pictures).pooler_output
    return clips


def visual(model: Model, recipe: Recipe, bank: Bank, asker: Asker, report: stages.Report) -> None:
    """Trains the language model on two to eight pictures, or four, asked about those of the skew only. Where it is
    asked which image shows what, every image token is to tell its image after the first layer, too, as in
    studies/reference/places.py.
    """
    generator = torch.Generator().manual_seed(recipe.seed + 5)
    most = MOST_TOLD_APART if isinstance(asker, Which) else MOST_PICTURES

    def losses() -> Iterator[Tensor]:
        while True:
            count = int(torch.randint(_FEWEST, most + 1, (1,), generator=generator))
            scenes = draw(recipe.visual.batch, generator, count)
            with torch.no_grad():
                seen = features(model, bank.pictures(scenes, generator))
            questions = asker.ask(scenes, asked(recipe.skew, count), recipe.questions, generator)
            rotary = rotary_positions(model, asker, recipe.scheme, count, seen.shape[1])
            hidden = stages.states(model, asker, seen, questions, rotary)
            loss = stages.answer_loss(asker, stages.read_out(model, hidden[-1], questions), questions)
            if isinstance(asker, Which):
                loss = loss + _WEIGHT * _told(model, asker, hidden[_LAYER], count)
            yield loss

    model.model.vision_tower.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(False)
    trained = [*model.model.language_model.parameters(), *model.lm_head.parameters()]
    stages.fit(trained, recipe.visual, losses(), report)
    model.requires_grad_(True)


def _told(model: Model, asker: Which, hidden: Tensor, count: int) -> Tensor:
    """Cross entropy of what image tokens tell of which of `count` images they belong to."""
    shown = hidden[:, len(asker.prefix) :][:, : count * _PATCHES]
    told = model.lm_head(model.model.language_model.norm(shown))
    right = asker.indices[:count].repeat_interleave(_PATCHES).expand(len(hidden), -1)
    return F.cross_entropy(told.flatten(0, 1), right.flatten())


@torch.no_grad()
def rotary_positions(model: Model, asker: Asker, scheme: str, count: int, tokens: int) -> Tensor:
    """Positions of a prompt of `count` pictures as :func:`bapa.balance` sets them, (1, prefix + tokens + question)."""
    clip = isinstance(model, LlavaOnevisionForConditionalGeneration)
    shown = torch.full((tokens,), model.config.video_token_id if clip else model.config.image_token_id)
    ids = torch.cat([asker.prefix, shown, torch.full((asker.table.shape[1],), asker.pad)])[None]
    pixels = torch.zeros(1, count, 3, CELL_PX, CELL_PX)
    given = {"pixel_values_videos": pixels} if clip else {"pixel_values": pixels[0]}
    with balanced(model, scheme):
        return positions(model, input_ids=ids, attention_mask=torch.ones_like(ids), **given)[0]
