"""Further families, most of them relatives of those in the other files."""

from __future__ import annotations

import torch

from tests.tiny.base import (
    END,
    FAKE,
    GLOBAL,
    HIDDEN,
    IMAGE,
    NEWLINE,
    START,
    TAGS,
    VIDEO,
    Family,
    Picture,
    by_row,
    text,
    vision,
)
from tests.tiny.mrope import MIXED, TOKENS, TOWER, clip, picture, rope, stamped
from tests.tiny.one_dim import CLIP, PINPOINTS, SMALL, anyres

COUNTED = dict.fromkeys(
    ["padded_positions_equal_alone", "gaps_count_for_nothing"], "in generation, padding counts as positions"
)


def untyped(video: Picture) -> Picture:
    """The same video for a model that reads no token types."""
    return Picture(video.ids, video.tensors, parts=video.parts)


def docling(rows: int, cols: int) -> Picture:
    """Tiles of 4 tokens behind their tags, a line end after each row, the whole picture last if there are several."""
    ids: tuple[int, ...] = ()
    for row in range(rows):
        for col in range(cols):
            ids += (FAKE, TAGS[row * cols + col], *(IMAGE,) * 4)
        ids += (NEWLINE,)
    tiles = rows * cols
    if tiles > 1:
        ids += (NEWLINE, FAKE, GLOBAL, *(IMAGE,) * 4, FAKE)
        tiles += 1
    mask = torch.ones(tiles, dtype=torch.bool)
    grid = (2, 2) if tiles == 1 else None
    return Picture(ids, {"pixel_values": (tiles, 3, 16, 16), "pixel_attention_mask": mask}, grid=grid)


def granite_anyres(height: int, width: int) -> Picture:
    """LLaVA-NeXT's tiles, 16 x 16 pixels in 2 x 2 tokens."""
    tiles = 1 + (height // 16) * (width // 16)
    tokens = 4 + height // 8 * (width // 8 + 1)
    sizes = torch.tensor([[height, width]])
    return Picture((IMAGE,) * tokens, {"pixel_values": (1, tiles, 3, 16, 16), "image_sizes": sizes})


def hunyuan(rows: int, cols: int) -> Picture:
    """Row ends and the picture's two borders are image tokens as well."""
    grid = torch.tensor([[1, rows * 2, cols * 2]])
    tensors = {"pixel_values": (rows * cols * 4, 48), "image_grid_thw": grid}
    return Picture((START, *(IMAGE,) * (rows * (cols + 1) + 2), END), tensors)


def next_video(frames: int) -> Picture:
    """Frames of 2 x 2 patches pooled to one token."""
    return Picture((VIDEO,) * frames, {"pixel_values_videos": (1, frames, 3, 8, 8)})


FAMILIES = [
    Family(
        "qianfan_ocr",
        "QianfanOCRForConditionalGeneration",
        {
            "vision_config": vision("qianfan_ocr_vision", image_size=[16, 16], patch_size=[4, 4]),
            "text_config": text(model_type="qwen3"),
            "image_token_id": IMAGE,
            "image_seq_length": 4,
        },
        {
            "image": Picture((START, *(IMAGE,) * 4, END), {"pixel_values": (1, 3, 16, 16)}, grid=(2, 2)),
            "wide": Picture((START, *(IMAGE,) * 12, END), {"pixel_values": (3, 3, 16, 16)}),
        },
    ),
    Family(
        "llava_next_video",
        "LlavaNextVideoForConditionalGeneration",
        {
            "vision_config": CLIP | SMALL,
            "text_config": text(model_type="llama"),
            "image_token_index": IMAGE,
            "video_token_index": VIDEO,
            "image_grid_pinpoints": PINPOINTS,
        },
        {"image": anyres(8, 16), "wide": anyres(16, 16), "video": next_video(3)},
        video_token_id=VIDEO,
    ),
    Family(
        "exaone4_5",
        "Exaone4_5_ForConditionalGeneration",
        {
            "vision_config": TOWER | {"window_size": 16, "fullatt_block_indexes": [1], "num_key_value_heads": 2},
            # rotary in the sliding layer only
            "text_config": text(model_type="exaone4", sliding_window=64, sliding_window_pattern=2),
            "image_token_id": IMAGE,
            "video_token_id": VIDEO,
        },
        {"image": picture(2, 3), "wide": picture(2, 4), "video": untyped(clip(2, 4))},
        video_token_id=VIDEO,
        skip=COUNTED,
    ),
    Family(
        "lfm3_vl",
        "Lfm3VlForConditionalGeneration",
        {
            "vision_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "patch_size": 4,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "layer_types": ["conv", "full_attention"],
            },
            "text_config": text(
                model_type="lfm3",
                num_hidden_layers=3,
                sliding_window=64,
                layer_types=["conv", "sliding_attention", "full_attention"],
            ),
            "projector_hidden_size": 48,
            **TOKENS,
        },
        {"image": picture(2, 3), "wide": picture(2, 4), "video": untyped(stamped(2, 4))},
        video_token_id=VIDEO,
    ),
    Family(
        "granite_docling",
        "GraniteDoclingForConditionalGeneration",
        {
            "vision_config": vision(
                "granite_docling_vision",
                image_size=16,
                out_hidden_size=HIDDEN,
                scale_factor=2,
                deepstack_visual_indexes=[0],
                use_fine_route=False,
            ),
            "text_config": text(embedding_multiplier=1.0, logits_scaling=1.0, attention_multiplier=0.25),
            "image_token_id": IMAGE,
            "pad_token_id": 0,
        },
        {"image": docling(1, 2), "whole": docling(1, 1), "wide": docling(2, 2)},
        collate=by_row,
    ),
    Family(
        "granite4_vision",
        "Granite4VisionForConditionalGeneration",
        {
            "vision_config": vision("siglip_vision_model", image_size=16, hidden_size=64),
            "text_config": text(num_hidden_layers=4, attention_multiplier=0.25),
            "qformer_config": {"num_hidden_layers": 1, "intermediate_size": 48, "cross_attention_frequency": 1},
            "image_token_index": IMAGE,
            "vision_feature_select_strategy": "full",
            "image_grid_pinpoints": [[16, 32], [32, 16], [32, 32]],
            "downsample_rate": "1/2",
            "deepstack_layer_map": [[-2, 0]],
            "spatial_target_layers": [0, 1, 2, 3],
        },
        {"image": granite_anyres(16, 32), "wide": granite_anyres(32, 32)},
        skip=MIXED,
    ),
    Family(
        "hunyuan_vl",
        "HunYuanVLForConditionalGeneration",
        {
            "vision_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_attention_heads": 2,
                "num_hidden_layers": 2,
                "out_hidden_size": HIDDEN,
                "patch_size": 4,
                "max_image_size": 32,
            },
            "text_config": text(rope_parameters=rope(2, 2, 2, 2)),
            "image_token_id": IMAGE,
            "im_start_id": START,
            "im_end_id": END,
            "im_newline_id": NEWLINE,
        },
        {"image": hunyuan(2, 3), "wide": hunyuan(2, 4)},
        skip=dict.fromkeys(["native_rows_alone"], "the axis of picture numbers counts over the whole batch"),
        types="mm_token_type_ids",
        mrope=True,
    ),
]
