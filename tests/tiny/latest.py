"""Families of transformers 5.20 to 5.23 with parts of their own."""

from __future__ import annotations

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
]
