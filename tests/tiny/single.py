"""One-axis families whose image is one unbroken run: other towers, other decoders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from tests.tiny.base import END, HIDDEN, IMAGE, START, TAGS, VIDEO, Family, Picture, Tensors, flat, text, vision
from tests.tiny.one_dim import CLIP, SIGLIP

CONTENT = TAGS[0]


def run(tokens: int, *pixels: int, tagged: bool = False, **more: Any) -> Picture:
    """``tokens`` image tokens, between a start and an end tag if ``tagged``; a square grid where they fill one."""
    side = int(tokens**0.5)
    ids = (IMAGE,) * tokens
    grid = (side, side) if side * side == tokens else None
    return Picture((START, *ids, END) if tagged else ids, {"pixel_values": pixels, **more}, grid=grid)


def video_llava(frames: int) -> Picture:
    """Ten tokens a frame: the class token stays."""
    return Picture((VIDEO,) * (frames * 10), {"pixel_values_videos": (1, frames, 3, 12, 12)})


def patches(rows: int, cols: int, pixels: tuple[int, ...], **more: torch.Tensor) -> dict[str, Any]:
    """rows x cols tokens, each merged from 2 x 2 patches."""
    grid = torch.tensor([[1, rows * 2, cols * 2]])
    return {"pixel_values": (rows * cols * 4, *pixels), "image_grid_thw": grid, **more}


def kimi_image(rows: int, cols: int) -> Picture:
    ids = (START, 5, CONTENT, *(IMAGE,) * (rows * cols), END)
    return Picture(ids, patches(rows, cols, (3, 4, 4)), grid=(rows, cols))


def kimi_video(chunks: int) -> Picture:
    """Chunks of one frame, each behind its time (longer chunks fail natively: their frames are pooled, the split
    of the features counts them all).
    """
    chunk = (10, 11, START, 6, CONTENT, VIDEO, VIDEO, VIDEO, VIDEO, END)
    starts = [5 + k * len(chunk) for k in range(chunks)]
    return Picture(
        chunk * chunks,
        {"pixel_values_videos": (chunks * 16, 3, 4, 4), "video_grid_thw": torch.tensor([[1, 4, 4]] * chunks)},
        parts=tuple((start, start + 4) for start in starts),
    )


def llama3_image(rows: int, cols: int) -> Picture:
    merge = torch.tensor([2])
    return Picture((IMAGE,) * (rows * cols), patches(rows, cols, (48,), image_merge_sizes=merge), grid=(rows, cols))


def llama3_video(frames: int) -> Picture:
    """Frames of 4 tokens, each behind "Time 1.0s:", a comma between them."""
    frame = (10, 11, VIDEO, VIDEO, VIDEO, VIDEO, 12)
    return Picture(
        (frame * frames)[:-1],
        {
            "pixel_values_videos": (frames * 16, 48),
            "video_grid_thw": torch.tensor([[frames, 4, 4]]),
            "video_merge_sizes": torch.tensor([2]),
            "video_compression_mask": torch.ones(frames * 4, dtype=torch.bool),
        },
        parts=tuple((2 + k * 7, 6 + k * 7) for k in range(frames)),
    )


def gemma4_image(rows: int, cols: int) -> Picture:
    """Patches in raster order with their (x, y), pooled 2 x 2; batches are filled up with patches at (-1, -1)."""
    x, y = torch.meshgrid(torch.arange(cols * 2), torch.arange(rows * 2), indexing="xy")
    places = torch.stack([x.flatten(), y.flatten()], -1)[None]
    ids = (START, *(IMAGE,) * (rows * cols), END)
    tensors = {"pixel_values": (1, rows * cols * 4, 48), "image_position_ids": places}
    return Picture(ids, tensors, grid=(rows, cols))


def filled_up(rows: list[list[Tensors]]) -> Tensors:
    """Patches that fill a smaller picture up stand at (-1, -1)."""
    places = "image_position_ids"
    joined = flat([[{**picture, places: picture[places] + 1} for picture in row] for row in rows])
    return joined | {places: joined[places] - 1}


SAM = {
    "hidden_size": 32,
    "output_channels": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 4,
    "window_size": 4,
    "global_attn_indexes": [1],
    "mlp_dim": 48,
    "initializer_range": 0.02,
}
VQ = {"embed_dim": 8, "latent_channels": 8, "base_channels": 32, "channel_multiplier": [1, 1], "num_res_blocks": 1}

FAMILIES = [
    Family(
        "vipllava",
        "VipLlavaForConditionalGeneration",
        {
            "vision_config": CLIP,
            "text_config": text(model_type="llama"),
            "image_token_index": IMAGE,
            "vision_feature_layer": [-2, -1],
        },
        {"image": run(9, 1, 3, 12, 12)},
    ),
    Family(
        "video_llava",
        "VideoLlavaForConditionalGeneration",
        {
            "vision_config": CLIP,
            "text_config": text(model_type="llama"),
            "image_token_index": IMAGE,
            "video_token_index": VIDEO,
        },
        {"image": run(9, 1, 3, 12, 12), "video": video_llava(2)},
        video_token_id=VIDEO,
    ),
    Family(
        "deepseek_vl",
        "DeepseekVLForConditionalGeneration",
        {"vision_config": SIGLIP, "text_config": text(model_type="llama"), "image_token_id": IMAGE},
        {"image": run(9, 1, 3, 12, 12)},
    ),
    Family(
        "got_ocr2",
        "GotOcr2ForConditionalGeneration",
        {
            "vision_config": SAM,
            "text_config": text(model_type="qwen2"),
            "image_token_index": IMAGE,
            "image_seq_length": 4,
        },
        {"image": run(4, 1, 3, 32, 32, tagged=True), "wide": run(8, 2, 3, 32, 32, tagged=True)},  # two tiles
        eager_tower=True,
    ),
    Family(
        "aria",
        "AriaForConditionalGeneration",
        {
            "vision_config": vision("idefics3_vision"),
            "text_config": text(moe_num_experts=4, moe_topk=2, moe_num_shared_experts=1),
            "projector_patch_to_query_dict": {9: 4},
            "image_token_index": IMAGE,
        },
        {
            "image": run(4, 1, 3, 12, 12, pixel_mask=torch.ones(1, 12, 12, dtype=torch.bool)),
            # three crops, which read like three pictures
            "wide": replace(
                run(12, 3, 3, 12, 12, pixel_mask=torch.ones(3, 12, 12, dtype=torch.bool)),
                parts=((0, 4), (4, 8), (8, 12)),
            ),
        },
    ),
    Family(
        "janus",
        "JanusForConditionalGeneration",
        {
            "vision_config": {
                "hidden_size": 32,
                "mlp_ratio": 2.0,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": 12,
                "patch_size": 4,
                "projection_dim": HIDDEN,
                "num_image_tokens": 9,
            },
            "vq_config": VQ | {"num_embeddings": 16, "projection_dim": HIDDEN, "image_token_embed_dim": HIDDEN},
            "text_config": text(model_type="llama"),
            "image_token_id": IMAGE,
        },
        {"image": run(9, 1, 3, 12, 12, tagged=True)},
    ),
    Family(
        "chameleon",
        "ChameleonForConditionalGeneration",
        {
            **text(),
            "vq_config": VQ | {"num_embeddings": 8, "resolution": 8},
            # codes of the picture tokenizer are words of the vocabulary, spelt in letters
            "vocabulary_map": {"<image>": IMAGE, **{f"IMGIMG{'ABCDEFGH'[k]}Z": 110 + k for k in range(8)}},
        },
        {"image": run(16, 1, 3, 8, 8, tagged=True)},
    ),
    Family(
        "kimi_k25",
        "Kimi_K25ForConditionalGeneration",
        {
            "vision_config": {
                "patch_size": 4,
                "pos_emb_height": 4,
                "pos_emb_width": 4,
                "num_attention_heads": 2,
                "num_hidden_layers": 2,
                "hidden_size": 32,
                "intermediate_size": 48,
            },
            "text_config": text(
                model_type="deepseek_v3",
                head_dim=8,
                num_key_value_heads=4,
                q_lora_rank=None,
                kv_lora_rank=16,
                qk_rope_head_dim=8,
                qk_nope_head_dim=8,
                v_head_dim=16,
                moe_intermediate_size=32,
                n_routed_experts=4,
                n_group=1,
                topk_group=1,
                num_experts_per_tok=2,
                first_k_dense_replace=1,
            ),
            "projection_hidden_size": 32,
            "image_token_id": IMAGE,
            "video_token_id": VIDEO,
            "vision_start_token_id": START,
            "vision_end_token_id": END,
        },
        {"image": kimi_image(2, 2), "wide": kimi_image(2, 3), "video": kimi_video(2)},
        video_token_id=VIDEO,
    ),
    Family(
        "video_llama_3",
        "VideoLlama3ForConditionalGeneration",
        {
            "vision_config": vision("video_llama_3_vision"),
            "text_config": text(model_type="qwen2"),
            "image_token_id": IMAGE,
            "video_token_id": VIDEO,
        },
        {"image": llama3_image(2, 2), "wide": llama3_image(2, 3), "video": llama3_video(2)},
        video_token_id=VIDEO,
    ),
    Family(
        "paligemma",
        "PaliGemmaForConditionalGeneration",
        {
            "vision_config": SIGLIP,
            "text_config": text(model_type="gemma"),
            "image_token_index": IMAGE,
            "projection_dim": HIDDEN,
            "hidden_size": HIDDEN,
        },
        {"image": Picture((IMAGE,) * 9, {"pixel_values": (1, 3, 12, 12)}, types=(0,) * 9, grid=(3, 3))},
        types="token_type_ids",
        suffix_type=1,
        start_index=1,
        bidirectional=True,
    ),
    Family(
        "gemma4",
        "Gemma4ForConditionalGeneration",
        {
            "vision_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "pooling_kernel_size": 2,
                "patch_size": 4,
                "position_embedding_size": 16,
            },
            "text_config": text(
                sliding_window=64,
                layer_types=["sliding_attention", "full_attention"],
                global_head_dim=32,
                hidden_size_per_layer_input=0,
                use_bidirectional_attention="vision",
            ),
            "image_token_id": IMAGE,
            "video_token_id": VIDEO,
            "boi_token_id": START,
            "eoi_token_id": END,
        },
        {"image": gemma4_image(2, 2), "wide": gemma4_image(2, 3)},
        collate=filled_up,
        types="mm_token_type_ids",
        bidirectional=True,
    ),
]
