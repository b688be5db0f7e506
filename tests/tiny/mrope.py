"""Families with three rotary axes (M-RoPE)."""

from __future__ import annotations

from typing import Any

import torch

from tests.tiny.base import END, HIDDEN, IMAGE, START, VIDEO, Family, Picture, text

TOKENS = {
    "image_token_id": IMAGE,
    "video_token_id": VIDEO,
    "vision_start_token_id": START,
    "vision_end_token_id": END,
}
PATCH = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2}
TOWER = PATCH | {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": HIDDEN}


def rope(**more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3], **more}


def picture(rows: int, cols: int, channels: int = 96) -> Picture:
    """An image of rows x cols tokens, each merged from 2 x 2 patches of 4 x 4 pixels, two frames deep."""
    return Picture(
        (START, *(IMAGE,) * (rows * cols), END),
        {
            "pixel_values": (rows * cols * 4, channels),
            "image_grid_thw": torch.tensor([[1, rows * 2, cols * 2]]),
        },
        grid=(rows, cols),
    )


def clip(frames: int, rows: int, cols: int, stamped: bool) -> Picture:
    """A video. ``stamped``: every frame stands on its own behind a time stamp; otherwise all are one run."""
    tokens = rows * cols
    tensors = {
        "pixel_values_videos": (frames * tokens * 4, 96),
        "video_grid_thw": torch.tensor([[frames, rows * 2, cols * 2]]),
    }
    if not stamped:
        run = frames * tokens
        return Picture((START, *(VIDEO,) * run, END), tensors, types=(0, *(2,) * run, 0))
    ids: tuple[int, ...] = ()
    types: tuple[int, ...] = ()
    parts: tuple[tuple[int, int], ...] = ()
    for second in range(frames):
        ids += (3, 10 + second, 4, START)  # "<1.0 seconds>"
        parts += ((len(ids), len(ids) + tokens),)
        ids += (*(VIDEO,) * tokens, END)
        types += (0, 0, 0, 0, *(2,) * tokens, 0)
    return Picture(ids, tensors, types, parts)


def family(name: str, model_class: str, words: dict[str, Any], tower: dict[str, Any], stamped: bool) -> Family:
    return Family(
        name,
        model_class,
        {"text_config": words, "vision_config": tower, **TOKENS},
        {"image": picture(2, 3), "wide": picture(2, 4), "video": clip(2, 2, 2, stamped)},
        video_token_id=VIDEO,
        types="mm_token_type_ids",
        mrope=True,
    )


FAMILIES = [
    family(
        "qwen2_vl",
        "Qwen2VLForConditionalGeneration",
        text(rope_parameters=rope()),
        PATCH | {"embed_dim": 32, "hidden_size": HIDDEN},
        stamped=False,
    ),
    family(
        "qwen2_5_vl",
        "Qwen2_5_VLForConditionalGeneration",
        text(rope_parameters=rope()),
        TOWER | {"window_size": 16, "fullatt_block_indexes": [1]},
        stamped=False,
    ),
    family(
        "qwen3_vl",
        "Qwen3VLForConditionalGeneration",
        text(rope_parameters=rope(mrope_interleaved=True)),
        TOWER | {"num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1]},
        stamped=True,
    ),
]
