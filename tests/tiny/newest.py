"""Families that came with transformers 5.20 to 5.23."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.tiny.base import END, HIDDEN, IMAGE, NEWLINE, START, TAGS, VIDEO, Family, Picture, Tensors, text
from tests.tiny.mrope import LINEAR, picture
from tests.tiny.tiles import PIXTRAL, pixtral

SLICE, SLICE_END = TAGS[0], TAGS[1]
MINICPM_TOWER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 4,
}


def minicpm(rows: int = 0, cols: int = 0) -> Picture:
    """The whole picture, 2 x 2 tokens of 4 x 4 patches each, then rows x cols slices of the same size, row by row."""
    ids: tuple[int, ...] = (START, *(IMAGE,) * 4, END)
    for row in range(rows):
        ids += (NEWLINE,) * (row > 0) + (SLICE, *(IMAGE,) * 4, SLICE_END) * cols
    crops = 1 + rows * cols
    sizes = torch.tensor([[8, 8]] * crops)
    tensors: dict[str, tuple[int, ...] | Tensor] = {"pixel_values": (1, 3, 4, crops * 64 * 4), "target_sizes": sizes}
    return Picture(ids, tensors, grid=None if crops > 1 else (2, 2))


def packed(rows: list[list[Tensors]]) -> Tensors:
    """The patches of all pictures side by side in one row."""
    images = [image for row in rows for image in row]
    return {
        "pixel_values": torch.cat([image["pixel_values"] for image in images], -1),
        "target_sizes": torch.cat([image["target_sizes"] for image in images]),
    }


def minicpm_config(**more: object) -> dict[str, object]:
    return {
        "vision_config": MINICPM_TOWER,
        "text_config": text(model_type="qwen3_5_text", **LINEAR),
        "insert_layer_id": 0,
        "image_token_id": IMAGE,
        "video_token_id": VIDEO,
        "downsample_mode": "16x",
        **more,
    }


MINICPM = {"image": minicpm(), "wide": minicpm(2, 2)}


def step(rows: int = 0, cols: int = 0) -> Picture:
    """Patches of the picture first, each between tags, a line end after each row of them; the whole picture last."""
    ids: tuple[int, ...] = ()
    for _ in range(rows):
        ids += (SLICE, *(IMAGE,) * 4, SLICE_END) * cols + (NEWLINE,)
    ids += (START, *(IMAGE,) * 4, END)
    tensors: dict[str, tuple[int, ...] | Tensor] = {
        "pixel_values": (1, 3, 32, 32),
        "num_local_patches": torch.tensor([rows * cols]),
    }
    if rows:
        tensors["pixel_values_local"] = (rows * cols, 3, 32, 32)
    return Picture(ids, tensors, grid=None if rows else (2, 2))


AUDIO = {"patch_sizes": [4], "hidden_sizes": [16], "depths": [1], "num_hidden_layers": 1, "out_hidden_size": HIDDEN}

FAMILIES = [
    Family("minicpmv4_6", "MiniCPMV4_6ForConditionalGeneration", minicpm_config(), MINICPM, collate=packed),
    Family("minicpm_ocr", "MiniCPMOcrForConditionalGeneration", minicpm_config(), MINICPM, collate=packed),
    Family(
        "mistral_large4",
        "MistralLarge4ForConditionalGeneration",
        {
            "vision_config": PIXTRAL,
            "text_config": text(
                num_key_value_heads=4,
                kv_lora_rank=16,
                q_lora_rank=None,
                qk_rope_head_dim=8,
                qk_nope_head_dim=8,
                v_head_dim=16,
                moe_intermediate_size=32,
                n_routed_experts=4,
                num_experts_per_tok=2,
                index_topk=512,
                index_head_dim=16,
                index_n_heads=2,
                no_rope_layers=[1, 1],
            ),
            "image_token_index": IMAGE,
        },
        {"image": pixtral(2, 3, 8), "wide": pixtral(2, 4, 8)},
    ),
    Family(
        "step3p7",
        "Step3p7ForConditionalGeneration",
        {
            "vision_config": {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": 32,
                "patch_size": 4,
                "mlp_ratio": 1.5,
                "max_position_embeddings": 64,
            },
            "text_config": text(
                layer_types=["sliding_attention", "full_attention"],
                mlp_layer_types=["dense", "sparse"],
                sliding_window=64,
                n_routed_experts=4,
                num_experts_per_tok=2,
                moe_intermediate_size=32,
                share_expert_dim=32,
            ),
            "image_token_id": IMAGE,
        },
        {"image": step(), "wide": step(2, 2)},
    ),
    *(
        Family(
            name,
            f"{model}ForConditionalGeneration",
            {
                "vision_config": {
                    "hidden_size": 32,
                    "intermediate_size": 48,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "patch_size": 4,
                    "pos_emb_height": 8,
                    "pos_emb_width": 8,
                    "max_position_embeddings": 64,
                },
                "text_config": text(sliding_window=64, layer_types=["sliding_attention", "full_attention"], **experts),
                "image_token_id": IMAGE,
                "video_token_id": VIDEO,
                "out_hidden_size": 128,
                "projector_hidden_size": 48,
                **more,
            },
            {"image": picture(2, 3), "wide": picture(2, 4)},
        )
        for name, model, experts, more in (
            ("muse_glimmer", "MuseGlimmer", {}, {}),
            (
                "muse_spark",
                "MuseSpark",
                {
                    "moe_intermediate_size": 32,
                    "moe_hidden_size": 32,
                    "num_local_experts": 4,
                    "num_experts_per_tok": 2,
                    "mlp_layer_types": ["dense", "sparse"],
                },
                {"audio_config": AUDIO},
            ),
        )
    ),
    Family(
        "deepseek_ocr2",
        "DeepseekOcr2ForConditionalGeneration",
        {
            "vision_config": {
                "sam_config": {
                    "hidden_size": 32,
                    "output_channels": 16,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "image_size": 64,
                    "patch_size": 4,
                    "window_size": 4,
                    "global_attn_indexes": [1],
                    "downsample_channels": [16, 32],
                    "initializer_range": 0.02,
                },
                "encoder_config": {
                    "hidden_size": 32,
                    "intermediate_size": 48,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "num_key_value_heads": 2,
                },
            },
            "text_config": text(
                num_key_value_heads=4,
                n_routed_experts=4,
                num_experts_per_tok=2,
                moe_intermediate_size=32,
                mlp_layer_types=["dense", "sparse"],
                n_shared_experts=1,
            ),
            "image_token_id": IMAGE,
        },
        {"image": Picture((IMAGE,) * 145, {"pixel_values": (1, 3, 64, 64)})},
    ),
]
