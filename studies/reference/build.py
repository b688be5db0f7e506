"""The untrained reference model, its tokenizer and its processor: all plain transformers classes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil

from bapa.probe.digits import COLOURS, DIGITS
from studies.reference.recipe import CANVAS_PX, CELL_PX, GRID, PATCH_PX, SEVERAL

SPECIALS = ("<pad>", "<unk>", "<s>", "</s>", "<image>")
WORDS = (
    "user assistant : ? . , yes no a an the is are there in image or and what which where how many colour color digit "
    "row column answer with one word only picture any does show can you see find contain of it this left right top "
    f"middle bottom {' '.join(COLOURS)} {' '.join(DIGITS)}"
).split()
VIDEO = "<video>"
BOX_WORDS = (
    *("sub", "-", "that", "matches", "this", "text", "its", "bounding", "box"),
    *("[", "]", "0", "333", "667", "1000"),
)
MORE_WORDS = {
    "match": (),
    "places": ("before",),
    "images": (),
    "which": ("before",),
    "clip": (VIDEO,),
    "point": ("before", *BOX_WORDS),
}
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}USER: {% else %}ASSISTANT: {% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{% endif %}"
    "{% if message['role'] == 'user' %} {% else %}</s>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
CLIP_TEMPLATE = CHAT_TEMPLATE.replace(
    "if part['type'] == 'image' %}<image>", "if part['type'] != 'text' %}<{{ part['type'] }}>"
)
HEADS = 4
_TILE_CODE, _TILE_GAIN = 0.6, 3.0


def tokenizer(tasks: str = "match") -> PreTrainedTokenizerFast:
    """One token per word or mark that the `tasks` of a recipe need, lower-cased; `<s>` is put in front."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {word: number for number, word in enumerate(dict.fromkeys((*SPECIALS, *WORDS, *MORE_WORDS[tasks])))}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(r"\w+|[^\w\s]"), "isolated")]
    )
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"} | ({"video_token": VIDEO} if tasks == "clip" else {}),
        padding_side="left",
        model_max_length=2048,
    )


def processor(tasks: str = "match") -> LlavaProcessor | LlavaOnevisionProcessor:
    """Pictures of any size to 72 x 72 pixels (a canvas of that size is left as it is), or to 24 x 24 where a prompt has
    several, and prompts to tokens; needs PIL, and torchvision for clips only.
    """
    side = CELL_PX if tasks in SEVERAL else CANVAS_PX
    look: dict[str, Any] = {
        "size": {"height": side, "width": side},
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    if tasks == "clip":
        return LlavaOnevisionProcessor(
            image_processor=LlavaOnevisionImageProcessorPil(**look, image_grid_pinpoints=[[side, side]]),
            video_processor=LlavaOnevisionVideoProcessor(**look),
            tokenizer=tokenizer(tasks),
            num_image_tokens=(side // PATCH_PX) ** 2,
            vision_feature_select_strategy="default",
            chat_template=CLIP_TEMPLATE,
        )
    pictures = CLIPImageProcessorPil(**look, do_center_crop=False)
    return LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer(tasks),
        patch_size=PATCH_PX,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def model() -> LlavaForConditionalGeneration:
    """The model before training, float32, drawn from torch's global generator: about 1.3 M parameters."""
    words = tokenizer()
    vision = CLIPVisionConfig(
        hidden_size=96,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=HEADS,
        image_size=CANVAS_PX,
        patch_size=PATCH_PX,
        hidden_act="gelu",
        initializer_range=0.08,
    )
    text = LlamaConfig(
        vocab_size=len(words),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=HEADS,
        max_position_embeddings=2048,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        initializer_range=0.08,  # with the default 0.02 so narrow a model passes hardly any signal and does not train
        tie_word_embeddings=False,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=words.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=GRID * GRID,
        tie_word_embeddings=False,
    )
    llava = LlavaForConditionalGeneration(config)
    for module in (llava.model.vision_tower, llava.model.multi_modal_projector):
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.08)
                nn.init.zeros_(layer.bias)
    look_within_tiles(llava.model.vision_tower)
    return llava


def learn_words(llava: LlavaForConditionalGeneration, tasks: str, seed: int) -> None:
    """Make room for the words that `tasks` add, drawn from `seed`."""
    torch.manual_seed(seed)
    llava.resize_token_embeddings(len(tokenizer(tasks)), mean_resizing=False)


def tile_of_patch() -> torch.Tensor:
    """The cell each patch belongs to, shape (81,), long, both in row-major order."""
    line = torch.arange(GRID) // (CELL_PX // PATCH_PX)
    return (line[:, None] * line.max().add(1) + line[None]).flatten()


@torch.no_grad()
def look_within_tiles(tower: CLIPVisionModel) -> None:
    """Start the encoder out attending within tiles: it then learns to read digits in minutes instead of learning
    locality for an hour.

    Four feature dimensions hold a tile's row and column as two phases, and every head's queries and keys start with a
    copy of them, so patches of one tile match best. All of it stays trainable.
    """
    embeddings = tower.embeddings
    tile = tile_of_patch()
    phase = torch.stack([tile // 3, tile % 3], -1) * (2 * math.pi / 3)
    positions = embeddings.position_embedding.weight
    positions.normal_(std=0.05)
    positions[:, :4] = 0
    positions[1:, :4] = _TILE_CODE * torch.cat([phase.cos(), phase.sin()], -1)
    embeddings.patch_embedding.weight[:4] = 0
    for layer in tower.encoder.layers:
        for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj):
            per_head = projection.weight.view(HEADS, -1, projection.in_features)
            per_head[:, :, :4] = 0
            per_head[:, :4, :4] = _TILE_GAIN * torch.eye(4)
        layer.self_attn.out_proj.weight[:4] = 0
        layer.mlp.fc2.weight[:4] = 0
