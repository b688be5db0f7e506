"""Tiny checkpoints of further families."""

from __future__ import annotations

import transformers

from tests.integrations.vllm.checkpoints import TEXT, Checkpoint
from tests.tiny.base import vision

CHECKPOINTS = [
    Checkpoint(
        "mistral3",
        "Mistral3ForConditionalGeneration",
        lambda ids: {
            "vision_config": vision("pixtral", image_size=32, head_dim=16),
            "text_config": {**TEXT, "model_type": "mistral", "vocab_size": len(ids), "sliding_window": None},
            "image_token_index": ids["[IMG]"],
            "projector_hidden_act": "gelu",
            "spatial_merge_size": 2,
        },
        lambda words: transformers.PixtralProcessor(
            transformers.PixtralImageProcessor(size={"longest_edge": 32}, patch_size={"height": 4, "width": 4}),
            words,
            patch_size=4,
            spatial_merge_size=2,
        ),
        ["[IMG]", "[IMG_BREAK]", "[IMG_END]"],
        "[IMG]",
        sizes=((24, 16), (32, 24)),
    ),
]
