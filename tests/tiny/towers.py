"""One-axis families whose vision tower is timm's."""

from __future__ import annotations

from typing import Any

from tests.tiny.base import END, IMAGE, NEWLINE, START, VIDEO, Family, Picture, text


def tower(architecture: str, **changes: Any) -> dict[str, Any]:
    """Arguments of a vision config; ``model_args`` shrink timm's architecture."""
    return {"architecture": architecture, "label_names": ["none"], **changes}


FAMILIES = [
    Family(
        "fast_vlm",
        "FastVlmForConditionalGeneration",
        {
            "vision_config": tower(
                "resnet10t",
                model_type="timm_wrapper",
                hidden_size=32,
                model_args={"channels": [8, 8, 16, 32], "stem_width": 8},
            ),
            "text_config": text(model_type="qwen2"),
            "image_token_index": IMAGE,
            "image_seq_length": 4,
        },
        {"image": Picture((IMAGE,) * 4, {"pixel_values": (1, 3, 64, 64)}, grid=(2, 2))},
    ),
    Family(
        "gemma3n",
        "Gemma3nForConditionalGeneration",
        {
            "vision_config": tower(
                "fastvit_mci0",
                hidden_size=64,
                vocab_offset=IMAGE,
                vocab_size=20,
                model_args={"layers": [1, 1, 1, 1], "embed_dims": [8, 8, 16, 32]},
            ),
            "audio_config": {
                "vocab_offset": 120,
                "vocab_size": 8,
                "input_feat_size": 16,
                "hidden_size": 32,
                "conf_num_hidden_layers": 1,
                "conf_num_attention_heads": 2,
                "sscp_conv_channel_size": [4, 4],
            },
            "text_config": text(
                vocab_size_per_layer_input=100,
                hidden_size_per_layer_input=8,
                altup_num_inputs=2,
                num_kv_shared_layers=0,
                laurel_rank=8,
                sliding_window=64,
                activation_sparsity_pattern=[0.0, 0.0],
                layer_types=["sliding_attention", "full_attention"],
            ),
            "vision_soft_tokens_per_image": 4,
            "image_token_id": IMAGE,
            "boi_token_id": START,
            "eoi_token_id": END,
            "audio_token_id": 121,
            "boa_token_id": 122,
            "eoa_token_id": 123,
        },
        {
            "image": Picture(
                (NEWLINE, START, *(IMAGE,) * 4, END, NEWLINE), {"pixel_values": (1, 3, 64, 64)}, grid=(2, 2)
            )
        },
        eager_tower=True,
    ),
    Family(
        "perception_lm",
        "PerceptionLMForConditionalGeneration",
        {
            "vision_config": tower(
                "vit_tiny_patch16_224",
                model_type="timm_wrapper",
                model_args={"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 16, "patch_size": 4},
            ),
            "text_config": text(model_type="llama"),
            "projector_pooling_ratio": 2,
            "image_token_id": IMAGE,
            "video_token_id": VIDEO,
        },
        {
            # the whole picture and one tile, or the frames of a video: one run
            "image": Picture((IMAGE,) * 8, {"pixel_values": (1, 2, 3, 16, 16)}),
            "video": Picture((VIDEO,) * 12, {"pixel_values_videos": (1, 3, 3, 16, 16)}),
        },
        video_token_id=VIDEO,
        eager_tower=True,
    ),
]
