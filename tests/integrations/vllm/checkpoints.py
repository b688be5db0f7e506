"""Tiny checkpoints as a hub has them: random weights, and the family's real processor with a tokenizer of few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.tiny.base import OLDER, older, text, vision

WORDS = [f"w{i}" for i in range(90)]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
HIDDEN = 128
# vLLM's attention on a CPU wants heads of 32 channels at least.
TEXT = text(hidden_size=HIDDEN, head_dim=32, max_position_embeddings=1024)
CLIP = vision("clip_vision_model", image_size=24, projection_dim=32)
SIGLIP = vision("siglip_vision_model", image_size=24)
QWEN_TOWER = {
    **{"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2},
    **{"hidden_size": 64, "intermediate_size": 96, "out_hidden_size": HIDDEN},
}
VISION_TOKENS = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
LOOK = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_center_crop": False}
SQUARE = {"size": {"height": 24, "width": 24}, "crop_size": {"height": 24, "width": 24}}


def tokenizer(more: Sequence[str], **named: str) -> PreTrainedTokenizerFast:
    """Words w0 to w89, the usual special tokens, and ``more``; ``named``: special tokens with a name of their own."""
    words = [*SPECIAL, *WORDS, *more]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side="left",
        additional_special_tokens=list(more),
        extra_special_tokens=dict(named),
        model_input_names=["input_ids", "attention_mask"],
    )
    made.add_tokens(list(more), special_tokens=True)
    return made


@dataclass(frozen=True)
class Checkpoint:
    """A family's tiny checkpoint.

    ``config``: arguments of its config class, from the tokenizer's ids by word. ``processor``: from the tokenizer.
    ``tokens``: special words. ``picture``: what stands in a prompt for one picture. ``sizes``: (width, height) of
    pictures. ``engine``: engine arguments it needs. ``gain`` and ``embedding_gain``: factors on the random weights, so
    that positions show in what is written. ``causal``: image tokens do not see each other, as they would on a GPU.
    ``added``: the family's tokenizer splits words in its own way, so that ours are added to it whole. ``shared``: words
    that every fourth prompt begins with.
    """

    name: str
    model_class: str
    config: Callable[[Mapping[str, int]], dict[str, Any]]
    processor: Callable[[PreTrainedTokenizerFast], Any]
    tokens: Sequence[str]
    picture: str
    named: Mapping[str, str] = field(default_factory=dict)
    sizes: Sequence[tuple[int, int]] = ((24, 24),)
    engine: Mapping[str, Any] = field(default_factory=dict)
    gain: float = 6.0
    embedding_gain: float = 6.0
    causal: bool = False
    added: bool = False
    shared: int = 40

    def save(self, folder: Path) -> Path:
        """Write the checkpoint into ``folder``."""
        words = tokenizer(self.tokens, **self.named)
        if self.added:
            words.add_tokens(WORDS)
        ids = words.get_vocab()
        model_class = getattr(transformers, self.model_class)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            told = older(self.config(ids)) if OLDER else self.config(ids)
            model = model_class._from_config(model_class.config_class(**told), dtype=torch.float32)
            for name, parameter in model.named_parameters():
                if parameter.dim() > 1:
                    weights = parameter if parameter.any() else parameter.normal_(std=0.02)  # some start at zero
                    weights.mul_(self.embedding_gain if "embed_tokens" in name else self.gain)
        model.generation_config = transformers.GenerationConfig(pad_token_id=0, bos_token_id=1)
        model.save_pretrained(folder)
        self.processor(words).save_pretrained(folder)
        return folder

    def prompts(self, count: int = 32) -> list[tuple[str, list[Image.Image]]]:
        """Mixed prompts with none, one or two pictures and texts of different lengths; some begin alike."""
        draw = np.random.default_rng(0)
        shared = self._words(np.random.default_rng(1), self.shared)
        pictures = [self._picture(draw, size) for size in self.sizes for _ in range(3)]
        found = []
        for i in range(count):
            parts, shown = [shared] if i % 4 == 3 else [], []
            for _ in range(i % 3):
                parts += [self._words(draw, int(draw.integers(0, 12))), self.picture]
                shown.append(pictures[int(draw.integers(len(pictures)))])
            parts.append(self._words(draw, int(draw.integers(2, 50))))
            found.append((" ".join(filter(None, ["<s>", *parts])), shown))
        return found

    def _words(self, draw: np.random.Generator, count: int) -> str:
        return " ".join(WORDS[int(i)] for i in draw.integers(0, len(WORDS), count))

    def _picture(self, draw: np.random.Generator, size: tuple[int, int]) -> Image.Image:
        width, height = size
        return Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8))


def llava(words: PreTrainedTokenizerFast) -> Any:
    return transformers.LlavaProcessor(
        transformers.CLIPImageProcessor(**LOOK, **SQUARE),
        words,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
    )


def qwen(processor: str, image: str, video: str) -> Callable[[PreTrainedTokenizerFast], Any]:
    def build(words: PreTrainedTokenizerFast) -> Any:
        if OLDER:  # takes tokenizers of its own class only
            words.__class__ = transformers.Qwen2TokenizerFast
        size = {"patch_size": 4, "merge_size": 2, "temporal_patch_size": 2}
        pixels = {"size": {"shortest_edge": 64, "longest_edge": 1024}}
        return getattr(transformers, processor)(
            getattr(transformers, image)(**size, **pixels),
            words,
            getattr(transformers, video)(**size, **pixels),
            chat_template=None,
        )

    return build


def qwen_config(ids: Mapping[str, int], rope: Mapping[str, Any], tower: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "text_config": {**TEXT, "vocab_size": len(ids), "rope_parameters": {"rope_type": "default", **rope}},
        "vision_config": dict(tower),
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }


SIDE = {"height": 24, "width": 24}
PINPOINTS = [[24, 48], [48, 24], [48, 48]]
TILES = {"size": {"shortest_edge": 24}, "crop_size": SIDE, "image_grid_pinpoints": PINPOINTS}
ROPE = {"rope_theta": 10000.0, "mrope_section": [4, 6, 6]}
QWEN = {
    "tokens": VISION_TOKENS,
    "picture": "<|vision_start|><|image_pad|><|vision_end|>",
    "sizes": ((24, 16), (32, 24)),
}

CHECKPOINTS = [
    Checkpoint(
        "llava",
        "LlavaForConditionalGeneration",
        lambda ids: {
            "vision_config": CLIP,
            "text_config": {**TEXT, "model_type": "llama", "vocab_size": len(ids)},
            "image_token_index": ids["<image>"],
            "image_seq_length": 36,
        },
        llava,
        ["<image>"],
        "<image>",
        {"image_token": "<image>"},
    ),
    Checkpoint(
        "qwen2_vl",
        "Qwen2VLForConditionalGeneration",
        lambda ids: qwen_config(
            ids,
            ROPE,
            {
                "depth": 2,
                "num_heads": 2,
                "patch_size": 4,
                "spatial_merge_size": 2,
                "temporal_patch_size": 2,
                "embed_dim": 64,
                "hidden_size": HIDDEN,
                "mlp_ratio": 2,
            },
        ),
        qwen("Qwen2VLProcessor", "Qwen2VLImageProcessor", "Qwen2VLVideoProcessor"),
        **QWEN,
    ),
    Checkpoint(
        "qwen2_5_vl",
        "Qwen2_5_VLForConditionalGeneration",
        lambda ids: qwen_config(ids, ROPE, {**QWEN_TOWER, "fullatt_block_indexes": [1], "window_size": 16}),
        qwen("Qwen2_5_VLProcessor", "Qwen2VLImageProcessor", "Qwen2VLVideoProcessor"),
        **QWEN,
    ),
    Checkpoint(
        "qwen3_vl",
        "Qwen3VLForConditionalGeneration",
        lambda ids: qwen_config(
            ids,
            {**ROPE, "mrope_interleaved": True},
            {**QWEN_TOWER, "num_position_embeddings": 36, "deepstack_visual_indexes": [0, 1]},
        ),
        qwen("Qwen3VLProcessor", "Qwen2VLImageProcessor", "Qwen3VLVideoProcessor"),
        **QWEN,
    ),
]

CHECKPOINTS += [
    Checkpoint(
        "llava_next",
        "LlavaNextForConditionalGeneration",
        lambda ids: {
            "vision_config": CLIP,
            "text_config": {**TEXT, "model_type": "llama", "vocab_size": len(ids)},
            "image_token_index": ids["<image>"],
            "image_grid_pinpoints": PINPOINTS,
        },
        lambda words: transformers.LlavaNextProcessor(
            transformers.LlavaNextImageProcessor(**LOOK, **TILES),
            words,
            patch_size=4,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
        ),
        ["<image>"],
        "<image>",
        {"image_token": "<image>"},
        sizes=((24, 24), (40, 20)),
    ),
    Checkpoint(
        "llava_onevision",
        "LlavaOnevisionForConditionalGeneration",
        lambda ids: {
            "vision_config": SIGLIP,
            "text_config": {**TEXT, "model_type": "qwen2", "vocab_size": len(ids)},
            "image_token_index": ids["<image>"],
            "video_token_index": ids["<video>"],
            "image_grid_pinpoints": PINPOINTS,
        },
        lambda words: transformers.LlavaOnevisionProcessor(
            transformers.LlavaOnevisionImageProcessor(**LOOK, **TILES),
            words,
            transformers.LlavaOnevisionVideoProcessor(size={"height": 24, "width": 24}),
            num_image_tokens=36,
            vision_feature_select_strategy="full",
        ),
        ["<image>", "<video>"],
        "<image>",
        {"image_token": "<image>", "video_token": "<video>"},
        sizes=((24, 24), (40, 20)),
    ),
    Checkpoint(
        "internvl",
        "InternVLForConditionalGeneration",
        lambda ids: {
            "vision_config": vision(
                "internvl_vision", image_size=[24, 24], patch_size=[4, 4], hidden_size=64, num_attention_heads=2
            ),
            "text_config": {**TEXT, "model_type": "qwen2", "vocab_size": len(ids)},
            "image_token_id": ids["<IMG_CONTEXT>"],
            "image_seq_length": 9,
        },
        lambda words: transformers.InternVLProcessor(
            transformers.GotOcr2ImageProcessor(
                **LOOK, size={"height": 24, "width": 24}, crop_to_patches=True, min_patches=1, max_patches=3
            ),
            words,
            transformers.InternVLVideoProcessor(size={"height": 24, "width": 24}),
            image_seq_length=9,
        ),
        ["<img>", "</img>", "<IMG_CONTEXT>", "<video>"],
        "<IMG_CONTEXT>",
        {
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
        sizes=((24, 24), (48, 24)),
    ),
    Checkpoint(
        "gemma3",
        "Gemma3ForConditionalGeneration",
        lambda ids: {
            "vision_config": SIGLIP,
            "text_config": {
                **TEXT,
                "vocab_size": len(ids),
                "query_pre_attn_scalar": 32,
                "sliding_window": 64,
                "layer_types": ["sliding_attention", "full_attention"],
            },
            "mm_tokens_per_image": 9,
            "is_mm_prefix_lm": False,  # vLLM's word for causal attention, all it has on a CPU
            "boi_token_index": ids["<start_of_image>"],
            "eoi_token_index": ids["<end_of_image>"],
            "image_token_index": ids["<image_soft_token>"],
        },
        lambda words: transformers.Gemma3Processor(
            transformers.Gemma3ImageProcessor(**{k: v for k, v in LOOK.items() if k != "do_center_crop"}, size=SIDE),
            words,
            image_seq_length=9,
        ),
        # It writes two line breaks around a picture, and vLLM joins them to those beside them.
        ["<start_of_image>", "<end_of_image>", "<image_soft_token>", *("\n" * i for i in range(1, 5))],
        "<start_of_image>",
        {
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
        },
        causal=True,
        embedding_gain=0.3,  # it is the output head as well, and repeats words where it is large
    ),
]

BY_NAME = {checkpoint.name: checkpoint for checkpoint in CHECKPOINTS}
