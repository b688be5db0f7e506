"""One-axis families whose image is one unbroken run of tokens."""

from __future__ import annotations

import torch

from tests.tiny.base import END, IMAGE, NEWLINE, START, VIDEO, Family, Picture, Tensors, flat, text, vision

CLIP = vision("clip_vision_model", projection_dim=32)
SIGLIP = vision("siglip_vision_model")
SMALL = {"image_size": 8}  # 2 x 2 patches
PINPOINTS = [[8, 16], [16, 8], [16, 16]]


def anyres(height: int, width: int) -> Picture:
    """A picture in tiles of 8 x 8 pixels after a thumbnail.

    Tokens: 4 of the thumbnail, then every row of the tiled picture with one newline feature, an image token as well.
    """
    tiles = 1 + (height // 8) * (width // 8)
    tokens = 4 + height // 4 * (width // 4 + 1)
    sizes = torch.tensor([[height, width]])
    return Picture((IMAGE,) * tokens, {"pixel_values": (1, tiles, 3, 8, 8), "image_sizes": sizes})


def thumbnail(height: int, width: int) -> Picture:
    """LLaVA-OneVision in a row of several images: no tiles, the thumbnail and one newline feature."""
    sizes = torch.tensor([[height, width]])
    return Picture((IMAGE,) * 5, {"pixel_values": (1, 1, 3, 8, 8), "image_sizes": sizes})


def counted(rows: list[list[Tensors]]) -> Tensors:
    """LLaVA-OneVision is told how many images each row brings."""
    counts = [sum("pixel_values" in picture for picture in row) for row in rows]
    return {**flat(rows), "batch_num_images": torch.tensor([count for count in counts if count])}


FAMILIES = [
    Family(
        "llava",
        "LlavaForConditionalGeneration",
        {
            "vision_config": CLIP,
            "text_config": text(model_type="llama"),
            "image_token_index": IMAGE,
            "image_seq_length": 9,
        },
        {"image": Picture((IMAGE,) * 9, {"pixel_values": (1, 3, 12, 12)}, grid=(3, 3))},
    ),
    Family(
        "llava_next",
        "LlavaNextForConditionalGeneration",
        {
            "vision_config": CLIP | SMALL,
            "text_config": text(model_type="llama"),
            "image_token_index": IMAGE,
            "image_grid_pinpoints": PINPOINTS,
        },
        {"image": anyres(8, 16), "wide": anyres(16, 16)},
    ),
    Family(
        "llava_onevision",
        "LlavaOnevisionForConditionalGeneration",
        {
            "vision_config": SIGLIP | SMALL,
            "text_config": text(model_type="qwen2"),
            "image_token_index": IMAGE,
            "video_token_index": VIDEO,
            "image_grid_pinpoints": PINPOINTS,
        },
        {
            "image": anyres(8, 16),
            "wide": anyres(16, 16),
            # frames of 2 x 2 patches pooled to one token, one newline feature behind the last
            "video": Picture((VIDEO,) * 4, {"pixel_values_videos": (1, 3, 3, 8, 8)}),
        },
        video_token_id=VIDEO,
        crowded={"image": thumbnail(8, 16), "wide": thumbnail(16, 16)},
        collate=counted,
    ),
    Family(
        "internvl",
        "InternVLForConditionalGeneration",
        {
            "vision_config": vision("internvl_vision", image_size=[16, 16], patch_size=[4, 4]),
            "text_config": text(model_type="qwen2"),
            "image_token_id": IMAGE,
            "image_seq_length": 4,
        },
        {
            "image": Picture((START, *(IMAGE,) * 4, END), {"pixel_values": (1, 3, 16, 16)}, grid=(2, 2)),
            # two tiles, then the whole picture
            "wide": Picture((START, *(IMAGE,) * 12, END), {"pixel_values": (3, 3, 16, 16)}),
        },
    ),
    Family(
        "gemma3",
        "Gemma3ForConditionalGeneration",
        {
            "vision_config": SIGLIP | {"image_size": 24},
            "text_config": text(
                query_pre_attn_scalar=16, sliding_window=64, layer_types=["sliding_attention", "full_attention"]
            ),
            "mm_tokens_per_image": 9,
            "boi_token_index": START,
            "eoi_token_index": END,
            "image_token_index": IMAGE,
        },
        {
            "image": Picture(
                (NEWLINE, START, *(IMAGE,) * 9, END, NEWLINE), {"pixel_values": (1, 3, 24, 24)}, grid=(3, 3)
            )
        },
        types="token_type_ids",
        bidirectional=True,
    ),
]
