"""Families that put together what others have: a text decoder here, a vision tower there."""

from __future__ import annotations

from dataclasses import replace

import torch

from tests.tiny.base import END, HIDDEN, IMAGE, START, VIDEO, Family, Picture, text
from tests.tiny.more import COUNTED, untyped
from tests.tiny.mrope import (
    DEEPSTACK,
    EXPERTS,
    INTERLEAVED,
    TOKENS,
    TOWER,
    clip,
    family,
    picture,
    rope,
    stamped,
)
from tests.tiny.mrope import (
    FAMILIES as MROPE,
)
from tests.tiny.one_dim import SIGLIP
from tests.tiny.single import SAM, filled_up, gemma4_image


def unified(rows: int, cols: int) -> Picture:
    """Gemma 4's patches, pooled before they come in."""
    small = gemma4_image(rows, cols)
    x, y = torch.meshgrid(torch.arange(cols), torch.arange(rows), indexing="xy")
    places = torch.stack([x.flatten(), y.flatten()], -1)[None]
    tensors = {"pixel_values": (1, rows * cols, 192), "image_position_ids": places}
    return Picture(small.ids, tensors, grid=(rows, cols))


AUDIO = {
    "num_mel_bins": 16,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "d_model": 32,
    "output_dim": HIDDEN,
    "max_source_positions": 64,
}
OMNI = {**TOKENS, "audio_config": AUDIO, "audio_token_id": 121, "audio_start_token_id": 122, "audio_end_token_id": 123}
UNPLACED = {
    "native_no_mask": "without a mask, pictures are placed as text",
    "an_image_at_the_end": "a picture without the tag that closes it has no positions",
}
QWEN2_5_TOWER = TOWER | {"window_size": 16, "fullatt_block_indexes": [1]}
SIZES = {"image": picture(2, 3), "wide": picture(2, 4)}

FAMILIES = [
    Family(
        "qwen2_5_omni_thinker",
        "Qwen2_5OmniThinkerForConditionalGeneration",
        {"text_config": text(rope_parameters=rope()), "vision_config": QWEN2_5_TOWER, **OMNI},
        SIZES,
        video_token_id=VIDEO,
        mrope=True,
        skip=UNPLACED,
    ),
    Family(
        "qwen3_omni_moe_thinker",
        "Qwen3OmniMoeThinkerForConditionalGeneration",
        {
            "text_config": text(rope_parameters=INTERLEAVED, num_experts=4, **EXPERTS),
            "vision_config": DEEPSTACK,
            **OMNI,
            "audio_config": AUDIO | {"downsample_hidden_size": 8},
        },
        SIZES,
        video_token_id=VIDEO,
        mrope=True,
        skip=UNPLACED,
    ),
    family(
        "cohere_compass",
        "CohereCompassForConditionalGeneration",
        text(
            rope_parameters={"sliding_attention": rope(), "full_attention": None},  # rotary in the sliding layer only
            layer_types=["sliding_attention", "full_attention"],
            sliding_window=64,
            logit_scale=1.0,
        ),
        DEEPSTACK,
        stamped(2, 4),
    ),
    Family(
        "minimax_m3_vl",
        "MiniMaxM3SparseForConditionalGeneration",
        {
            "vision_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": 16,
                "patch_size": 4,
            },
            "text_config": text(
                dense_intermediate_size=96,
                shared_intermediate_size=32,
                rotary_dim=8,
                num_local_experts=4,
                num_experts_per_tok=2,
            ),
            "image_token_index": IMAGE,
            "video_token_index": VIDEO,
            "projector_hidden_size": 48,
        },
        SIZES,
        video_token_id=VIDEO,
    ),
    Family(
        "hyperclovax_vision_v2",
        "HyperCLOVAXVisionV2ForConditionalGeneration",
        {
            "vision_config": QWEN2_5_TOWER,
            "text_config": text(model_type="hyperclovax"),
            "image_token_id": IMAGE,
            "video_token_id": VIDEO,
        },
        SIZES | {"video": untyped(clip(2, 4))},
        video_token_id=VIDEO,
        skip=COUNTED,
    ),
    family(
        "cosmos3_omni",
        "Cosmos3OmniForConditionalGeneration",
        text(model_type="qwen3_vl_text", rope_parameters=INTERLEAVED),
        DEEPSTACK | {"model_type": "qwen3_vl_vision"},
        stamped(2, 4),
    ),
    family(
        "cosmos3_edge",
        "Cosmos3EdgeForConditionalGeneration",
        text(rope_parameters=rope()),
        {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
        | {"patch_size": 4, "num_patches": 16},
        None,
        pictures={"image": picture(2, 3, (48,)), "wide": picture(2, 4, (48,))},
    ),
    replace(next(member for member in MROPE if member.name == "glm46v"), name="glmga", config_class="GlmgaConfig"),
    Family(
        "deepseek_vl_hybrid",
        "DeepseekVLHybridForConditionalGeneration",
        {
            "vision_config": SIGLIP,
            "high_res_vision_config": SAM,
            "text_config": text(model_type="llama"),
            "image_token_id": IMAGE,
        },
        {
            "image": Picture(
                (IMAGE,) * 9,
                {"pixel_values": (1, 3, 12, 12), "high_res_pixel_values": (1, 3, 32, 32)},
                grid=(3, 3),
            )
        },
        eager_tower=True,
    ),
    Family(
        "pp_chart2table",
        "GotOcr2ForConditionalGeneration",
        {
            "vision_config": SAM | {"model_type": "pp_chart2table_vision"},
            "text_config": text(model_type="qwen2"),
            "image_token_index": IMAGE,
            "image_seq_length": 4,
        },
        {"image": Picture((START, *(IMAGE,) * 4, END), {"pixel_values": (1, 3, 32, 32)}, grid=(2, 2))},
        eager_tower=True,
        config_class="PPChart2TableConfig",
    ),
    Family(
        "gemma4_unified",
        "Gemma4UnifiedForConditionalGeneration",
        {
            "vision_config": {
                "patch_size": 4,
                "pooling_kernel_size": 2,
                "mm_embed_dim": 32,
                "mm_posemb_size": 16,
                "output_proj_dims": 32,
            },
            "text_config": text(
                sliding_window=64,
                layer_types=["sliding_attention", "full_attention"],
                use_bidirectional_attention="vision",
            ),
            "image_token_id": IMAGE,
            "video_token_id": VIDEO,
            "boi_token_id": START,
            "eoi_token_id": END,
        },
        {"image": unified(2, 2), "wide": unified(2, 3)},
        collate=filled_up,
        types="mm_token_type_ids",
        bidirectional=True,
    ),
]
