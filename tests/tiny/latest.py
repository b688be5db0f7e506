"""Families of transformers 5.20 to 5.23 with parts of their own."""

from __future__ import annotations

import torch

from tests.tiny.base import HIDDEN, IMAGE, VIDEO, Family, Picture, text
from tests.tiny.mrope import picture

SAM = {
    "hidden_size": 32,
    "output_channels": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 64,
    "patch_size": 4,
    "window_size": 4,
    "global_attn_indexes": [1],
    "downsample_channels": [16, 32],
    "mlp_dim": 64,
    "initializer_range": 0.02,
}
CROP = 16  # pixels of a side: 4 x 4 patches in 2 x 2 tokens


def phi4(rows: int, cols: int) -> Picture:
    """The crops' tokens row by row, each row closed by a token of its own; a separator; the whole picture likewise."""
    crops = 1 + rows * cols
    tokens = rows * 2 * (cols * 2 + 1) + 1 + 2 * 3
    return Picture(
        (IMAGE,) * tokens,
        {
            "image_pixel_values": (1, crops, 3, CROP, CROP),
            "image_sizes": torch.tensor([[rows * CROP, cols * CROP]]),
            "image_attention_mask": torch.ones(1, crops, 4, 4),
        },
    )


FAMILIES = [
    Family(
        "dots3_note",
        "Dots3NoteForConditionalGeneration",
        {
            "vision_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "patch_size": 4,
                "mlp_layer_types": ["dense", "dense"],
                "adapter_in_dim": 32,
                "adapter_out_dim": HIDDEN,
            },
            "audio_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "feature_size": 16,
                "downsample_hidden_size": 8,
                "adapter_input_size": 32,
                "adapter_out_dim": HIDDEN,
                "max_position_embeddings": 64,
            },
            "text_config": text(
                num_key_value_heads=4,
                kv_lora_rank=16,
                q_lora_rank=16,
                qk_rope_head_dim=8,
                qk_nope_head_dim=8,
                v_head_dim=16,
                moe_intermediate_size=32,
                shared_experts_intermediate_size=32,
                n_routed_experts=4,
                num_experts_per_tok=2,
                index_topk=512,
                index_head_dim=16,
                index_n_heads=2,
                sliding_window=64,
                layer_types=["indexed_attention", "sliding_attention"],
                swa_num_attention_heads=4,
                swa_num_key_value_heads=4,
                swa_q_lora_rank=16,
                swa_kv_lora_rank=16,
                swa_head_dim=16,
                swa_qk_nope_head_dim=8,
                swa_v_head_dim=16,
            ),
            "image_token_id": IMAGE,
            "video_token_id": VIDEO,
        },
        {"image": picture(2, 3, (48,)), "wide": picture(2, 4, (48,))},
    ),
    Family(
        "unlimited_ocr",
        "UnlimitedOcrForConditionalGeneration",
        {
            "vision_config": {
                "sam_config": SAM,
                "encoder_config": {
                    "hidden_size": 32,
                    "intermediate_size": 48,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "image_size": 16,
                    "patch_size": 4,
                },
            },
            "text_config": text(
                num_key_value_heads=4,
                n_routed_experts=4,
                num_experts_per_tok=2,
                moe_intermediate_size=32,
                n_shared_experts=1,
                mlp_layer_types=["dense", "sparse"],
                sliding_window=64,
            ),
            "image_token_id": IMAGE,
        },
        # 4 x 4 tokens, one behind each row, one behind the picture
        {"image": Picture((IMAGE,) * 21, {"pixel_values": (1, 3, 64, 64)})},
    ),
    Family(
        "phi4_multimodal",
        "Phi4MultimodalForCausalLM",
        {
            **text(),
            "vision_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": CROP,
                "crop_size": CROP,
                "patch_size": 4,
                "image_token_id": IMAGE,
            },
            "audio_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_blocks": 2,
                "num_attention_heads": 2,
                "ext_pw_out_channel": 32,
                "depthwise_separable_out_channel": 32,
                "nemo_conv_channels": 32,
                "input_size": 16,
                "audio_token_id": VIDEO,
            },
        },
        {"image": phi4(1, 1), "wide": phi4(1, 2)},
        skip={
            "beams_need_no_cache": "without a cache, the beams are others",
            "eager_equals_sdpa": "under sdpa alone, the patches of its tower see only those before them",
        },
    ),
]
