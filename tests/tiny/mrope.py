"""Families with three rotary axes (M-RoPE)."""

from __future__ import annotations

from typing import Any

import torch

from tests.tiny.base import END, HIDDEN, IMAGE, START, TAGS, VIDEO, Family, Picture, Tensors, text, vision

TOKENS = {
    "image_token_id": IMAGE,
    "video_token_id": VIDEO,
    "vision_start_token_id": START,
    "vision_end_token_id": END,
}
PATCH = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2}
TOWER = PATCH | {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": HIDDEN}


VIDEO_START, VIDEO_END = TAGS[0], TAGS[1]
GLM_TOKENS = {
    "image_token_id": IMAGE,
    "video_token_id": VIDEO,
    "image_start_token_id": START,
    "image_end_token_id": END,
    "video_start_token_id": VIDEO_START,
    "video_end_token_id": VIDEO_END,
}
EXPERTS = {"moe_intermediate_size": 32, "num_experts_per_tok": 2}


def rope(*sections: int, **more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": list(sections or (2, 3, 3)), **more}


HALF = rope(2, 1, 1, partial_rotary_factor=0.5)  # half of each head's channels rotate


def picture(rows: int, cols: int, patch: tuple[int, ...] = (96,)) -> Picture:
    """An image of rows x cols tokens, each merged from 2 x 2 patches of 4 x 4 pixels (twice over: two frames)."""
    tokens = rows * cols
    grid = torch.tensor([[1, rows * 2, cols * 2]])
    tensors = {"pixel_values": (tokens * 4, *patch), "image_grid_thw": grid}
    return Picture((START, *(IMAGE,) * tokens, END), tensors, grid=(rows, cols))


def clip(frames: int, tokens: int) -> Picture:
    """Qwen2-VL: all frames of a video are one run."""
    run = frames * tokens
    return Picture((START, *(VIDEO,) * run, END), frames_of(frames, tokens), types=(0, *(2,) * run, 0))


def frames_of(frames: int, tokens: int, channels: int = 96) -> dict[str, tuple[int, ...] | torch.Tensor]:
    """Frames of 2 x tokens / 2 merged patches."""
    grid = torch.tensor([[frames, 4, tokens]])
    return {"pixel_values_videos": (frames * tokens * 4, channels), "video_grid_thw": grid}


def stamped(frames: int, tokens: int) -> Picture:
    """Qwen3-VL: every frame stands on its own behind "<1.0 seconds>"."""
    before, after = (3, 10, 4, START), (END,)
    return by_frame((), before, VIDEO, after, (), frames, tokens)


def numbered(frames: int, tokens: int) -> Picture:
    """GLM-4V: frames carry the image token and end in their second; tags around the video."""
    return by_frame((VIDEO_START,), (START,), IMAGE, (END, 10), (VIDEO_END,), frames, tokens)


def by_frame(
    opening: tuple[int, ...],
    before: tuple[int, ...],
    token: int,
    after: tuple[int, ...],
    closing: tuple[int, ...],
    frames: int,
    tokens: int,
) -> Picture:
    frame = (*before, *(token,) * tokens, *after)
    types = (*(0 for _ in before), *(2,) * tokens, *(0 for _ in after))
    starts = [len(opening) + k * len(frame) + len(before) for k in range(frames)]
    return Picture(
        (*opening, *frame * frames, *closing),
        frames_of(frames, tokens),
        (*(0 for _ in opening), *types * frames, *(0 for _ in closing)),
        tuple((start, start + tokens) for start in starts),
    )


def family(
    name: str, model_class: str, words: dict[str, Any], tower: dict[str, Any], video: Picture | None, **more: Any
) -> Family:
    pictures = {"image": picture(2, 3), "wide": picture(2, 4)} | ({"video": video} if video else {})
    return Family(
        name,
        model_class,
        {"text_config": words, "vision_config": tower, **(more.pop("tokens", TOKENS))},
        more.pop("pictures", pictures),
        video_token_id=VIDEO,
        types="mm_token_type_ids",
        mrope=True,
        **more,
    )


QWEN3_TOWER = TOWER | {"num_position_embeddings": 16}
DEEPSTACK = QWEN3_TOWER | {"deepstack_visual_indexes": [0, 1]}
GLM_TOWER = TOWER | {"image_size": 16}
INTERLEAVED = rope(mrope_interleaved=True)
LINEAR = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "rope_parameters": rope(2, 1, 1, mrope_interleaved=True, partial_rotary_factor=0.5),
}
MIXED = {"beams_need_no_cache": "without a cache, the beams of a row of several images mix its pictures up"}
UNGROWN = {"beams_need_no_cache": "without a cache, moe_mm_token_type_ids does not grow with the generated tokens"}
GLM_EXPERTS = EXPERTS | {"n_routed_experts": 4, "first_k_dense_replace": 1}


def expert_types(inputs: Tensors) -> Tensors:
    """Ernie sends the tags around an image to the visual experts as well."""
    visual = torch.tensor([IMAGE, START, END])
    moe = torch.isin(inputs["input_ids"], visual).long()
    return {"moe_mm_token_type_ids": moe + 2 * torch.isin(inputs["input_ids"], torch.tensor([VIDEO, *TAGS[:2]])).long()}


FAMILIES = [
    family(
        "qwen2_vl",
        "Qwen2VLForConditionalGeneration",
        text(rope_parameters=rope()),
        PATCH | {"embed_dim": 32, "hidden_size": HIDDEN},
        clip(2, 4),
    ),
    family(
        "qwen2_5_vl",
        "Qwen2_5_VLForConditionalGeneration",
        text(rope_parameters=rope()),
        TOWER | {"window_size": 16, "fullatt_block_indexes": [1]},
        clip(2, 4),
    ),
    family(
        "qwen3_vl",
        "Qwen3VLForConditionalGeneration",
        text(rope_parameters=INTERLEAVED),
        DEEPSTACK,
        stamped(2, 4),
    ),
    family(
        "qwen3_vl_moe",
        "Qwen3VLMoeForConditionalGeneration",
        text(rope_parameters=INTERLEAVED, num_experts=4, **EXPERTS),
        DEEPSTACK,
        stamped(2, 4),
    ),
    family("qwen3_5", "Qwen3_5ForConditionalGeneration", text(**LINEAR), QWEN3_TOWER, stamped(2, 4)),
    family(
        "qwen3_5_moe",
        "Qwen3_5MoeForConditionalGeneration",
        text(**LINEAR, **EXPERTS, num_experts=4, shared_expert_intermediate_size=32),
        QWEN3_TOWER,
        stamped(2, 4),
    ),
    family(
        "glm4v",
        "Glm4vForConditionalGeneration",
        text(rope_parameters=HALF),
        GLM_TOWER,
        numbered(2, 4),
        tokens=GLM_TOKENS,
        skip=MIXED,
    ),
    family(
        "glm4v_moe",
        "Glm4vMoeForConditionalGeneration",
        text(rope_parameters=HALF, **GLM_EXPERTS),
        GLM_TOWER,
        numbered(2, 4),
        tokens=GLM_TOKENS,
        skip=MIXED,
    ),
    family(
        "glm46v",
        "Glm46VForConditionalGeneration",
        text(rope_parameters=HALF, model_type="glm4v_text"),
        GLM_TOWER | {"model_type": "glm4v_vision"},
        numbered(2, 4),
        tokens=GLM_TOKENS,
        skip=MIXED,
    ),
    family(
        "glm_ocr",
        "GlmOcrForConditionalGeneration",
        text(rope_parameters=rope()),
        TOWER,
        numbered(2, 4),
        tokens=GLM_TOKENS,
        skip=MIXED,
    ),
    family(
        "ernie4_5_vl_moe",
        "Ernie4_5_VLMoeForConditionalGeneration",
        text(
            rope_parameters=rope(3, 3, 2),
            moe_intermediate_size=[32, 16],
            moe_k=2,
            moe_num_experts=4,
            moe_num_shared_experts=1,
        ),
        TOWER,
        None,
        tokens=GLM_TOKENS,
        skip=UNGROWN,
        pictures={"image": picture(2, 3, (48,)), "wide": picture(2, 4, (48,))},
        derive=expert_types,
    ),
    family(
        "paddleocr_vl",
        "PaddleOCRVLForConditionalGeneration",
        text(rope_parameters=rope()),
        vision("paddleocr_vl_vision", image_size=16),
        None,
        pictures={"image": picture(2, 3, (3, 4, 4)), "wide": picture(2, 4, (3, 4, 4))},
    ),
]
