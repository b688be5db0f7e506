"""One-axis families whose image comes in pieces: tiles with tags, or rows with breaks."""

from __future__ import annotations

from typing import Any

import torch

from tests.tiny.base import (
    BREAK,
    END,
    FAKE,
    GLOBAL,
    HIDDEN,
    IMAGE,
    NEWLINE,
    START,
    TAGS,
    Family,
    Picture,
    Tensors,
    by_row,
    flat,
    text,
    vision,
)

TILE = (IMAGE,) * 4  # the tokens of one tile: 16 x 16 pixels in 4 x 4 patches, merged 2 x 2
SIGLIP16 = vision("siglip_vision_model", image_size=16)
COHERE = text(
    model_type="cohere2", logit_scale=1.0, sliding_window=64, layer_types=["sliding_attention", "full_attention"]
)
PIXTRAL = vision("pixtral", image_size=32, head_dim=16)


def pieces(ids: tuple[int, ...], tiles: int, **more: Any) -> Picture:
    """A picture cut in tiles of 16 x 16 pixels."""
    return Picture(ids, {"pixel_values": (tiles, 3, 16, 16), **more}, grid=(2, 2) if tiles == 1 else None)


def idefics3(rows: int, cols: int) -> Picture:
    """A tag before each tile, a line end after each row of tiles, the whole picture last."""
    ids: tuple[int, ...] = ()
    for row in range(rows):
        for col in range(cols):
            ids += (FAKE, TAGS[row * cols + col], *TILE)
        ids += (NEWLINE,)
    ids += ((NEWLINE,) if rows else ()) + (FAKE, GLOBAL, *TILE, FAKE)
    return masked(ids, rows * cols + 1)


def masked(ids: tuple[int, ...], tiles: int) -> Picture:
    return pieces(ids, tiles, pixel_attention_mask=torch.ones(tiles, 16, 16, dtype=torch.long))


def idefics2(tiles: int) -> Picture:
    """A tag before each of four crops, before the whole picture and at the end."""
    return masked((*(FAKE, *TILE) * tiles, FAKE), tiles)


def aya(tiles: int) -> Picture:
    tagged = tuple(token for tile in range(tiles) for token in (TAGS[tile], *TILE))
    return pieces((START, *tagged, GLOBAL, *TILE, END), tiles + 1)


def cohere2(tiles: int) -> Picture:
    return pieces((START, *(*TILE, BREAK) * tiles, END), tiles)


def ovis2(rows: int, cols: int) -> Picture:
    """The whole picture first, then the crops; the tags are indicators with features of their own."""
    begin, grid, column, row, end = TAGS[:5]
    crops: list[int] = []
    for index in range(rows * cols):
        crops += [*TILE, row if index % cols == cols - 1 else column]
    return pieces((begin, *TILE, grid, *crops[:-1], end), rows * cols + 1)


def llama4(rows: int, cols: int) -> Picture:
    along, below, whole = TAGS[:3]
    tiles: list[int] = []
    for index in range(rows * cols):
        tiles += [*TILE, below if index % cols == cols - 1 else along]
    return pieces((START, *tiles, whole, *TILE, END), rows * cols + 1)


def lfm2(rows: int, cols: int, thumbnail: tuple[int, int]) -> Picture:
    """A tag before each tile of 2 x 2 tokens, then a smaller whole picture; patches come flattened and filled up."""
    tagged = tuple(token for tile in range(rows * cols) for token in (TAGS[tile], *TILE))
    shapes = [(4, 4)] * (rows * cols) + [(thumbnail[0] * 2, thumbnail[1] * 2)]
    lengths = torch.tensor([[height * width] for height, width in shapes])
    mask = torch.arange(int(lengths.max())) < lengths
    whole = (IMAGE,) * (thumbnail[0] * thumbnail[1])
    return Picture(
        (START, *tagged, *((GLOBAL,) if tagged else ()), *whole, END),
        {
            "pixel_values": (len(shapes), mask.shape[1], 48),
            "spatial_shapes": torch.tensor(shapes),
            "pixel_attention_mask": mask.long(),
        },
        grid=None if tagged else thumbnail,
    )


def pixtral(rows: int, cols: int, patch: int) -> Picture:
    """A break after every row, an end instead of the last; one token is ``patch`` pixels wide."""
    ids = ((IMAGE,) * cols + (BREAK,)) * rows
    sizes = torch.tensor([[rows * patch, cols * patch]])
    tensors = {"pixel_values": (1, 3, rows * patch, cols * patch), "image_sizes": sizes}
    return Picture((*ids[:-1], END), tensors, grid=(rows, cols))


def lighton(rows: int, cols: int) -> Picture:
    """Pixtral's tower without the breaks."""
    return Picture((IMAGE,) * (rows * cols), pixtral(rows, cols, 8).tensors, grid=(rows, cols))


def fuyu(rows: int, cols: int) -> Picture:
    """Raw patches of 4 x 4 pixels; a line end after every row, the beginning of the text after the last."""
    ids = ((IMAGE,) * cols + (NEWLINE,)) * rows
    return Picture((*ids, 1), {"pixel_values": (rows * cols, 48)}, grid=(rows, cols))


def molmo2() -> Picture:
    """The whole picture, then its one crop, both 2 x 2 tokens pooled from 4 x 4 patches; a break after every row."""
    rows = (IMAGE, IMAGE, BREAK) * 2
    windows = torch.arange(32).view(2, 2, 2, 2, 2).permute(0, 1, 3, 2, 4).reshape(8, 4)
    ids = (GLOBAL, *rows, END, START, *rows, END)
    tensors = {
        "pixel_values": (2, 16, 48),
        "image_token_pooling": windows,
        "image_grids": torch.tensor([[2, 2, 2, 2]]),
        "image_num_crops": torch.tensor([2]),
    }
    return Picture(ids, tensors, types=(1,) * len(ids))


def pooled(rows: list[list[Tensors]]) -> Tensors:
    """Molmo2 counts the patches to pool over the whole batch."""
    joined = flat(rows)
    image = torch.arange(len(joined["image_grids"])).repeat_interleave(8)
    return joined | {"image_token_pooling": joined["image_token_pooling"] + 32 * image[:, None]}


UNREPEATED = {"beams_need_no_cache": "without a cache, the features of a picture are not repeated for the beams"}

TILED = {"image": idefics3(1, 2), "whole": idefics3(0, 0), "wide": idefics3(2, 2)}


def idefics3_config(tower: str) -> dict[str, Any]:
    return {
        "vision_config": vision(tower, image_size=16),
        "text_config": text(model_type="llama"),
        "image_token_id": IMAGE,
        "scale_factor": 2,
    }


FAMILIES = [
    Family("idefics3", "Idefics3ForConditionalGeneration", idefics3_config("idefics3_vision"), TILED, collate=by_row),
    Family("smolvlm", "SmolVLMForConditionalGeneration", idefics3_config("smolvlm_vision"), TILED, collate=by_row),
    Family(
        "idefics2",
        "Idefics2ForConditionalGeneration",
        {
            "vision_config": vision("idefics2_vision", image_size=16),
            "perceiver_config": {
                "hidden_size": HIDDEN,
                "resampler_n_latents": 4,
                "resampler_depth": 1,
                "resampler_n_heads": 2,
                "resampler_head_dim": 16,
                "num_key_value_heads": 2,
            },
            "text_config": text(model_type="mistral", sliding_window=None),
            "image_token_id": IMAGE,
        },
        {"image": idefics2(1), "wide": idefics2(5)},
        collate=by_row,
    ),
    Family(
        "aya_vision",
        "AyaVisionForConditionalGeneration",
        {"vision_config": SIGLIP16, "text_config": COHERE, "image_token_index": IMAGE},
        {"image": aya(2), "whole": aya(0), "wide": aya(4)},
    ),
    Family(
        "cohere2_vision",
        "Cohere2VisionForConditionalGeneration",
        {
            "vision_config": SIGLIP16,
            "text_config": COHERE,
            "image_token_id": IMAGE,
            "alignment_intermediate_size": 64,
        },
        {"image": cohere2(2), "whole": cohere2(1), "wide": cohere2(3)},
    ),
    Family(
        "ovis2",
        "Ovis2ForConditionalGeneration",
        {
            "vision_config": vision("ovis2_vision", image_size=16, vocab_size=32, hidden_stride=2),
            "text_config": text(model_type="qwen2"),
            "image_token_id": IMAGE,
            "visual_indicator_token_ids": list(TAGS[:5]),
            "vocab_size": 128,
            "hidden_size": HIDDEN,
        },
        {"image": ovis2(1, 2), "wide": ovis2(2, 2)},
    ),
    Family(
        "llama4",
        "Llama4ForConditionalGeneration",
        {
            "vision_config": {
                "hidden_size": 32,
                "intermediate_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": 16,
                "patch_size": 4,
                "vision_output_dim": 32,
                "projector_input_dim": 32,
                "projector_output_dim": 32,
            },
            # rotary in the first layer only
            "text_config": text(
                intermediate_size_mlp=96, num_local_experts=2, no_rope_layer_interval=2, attention_chunk_size=128
            ),
            "boi_token_index": START,
            "eoi_token_index": END,
            "image_token_index": IMAGE,
        },
        {"image": llama4(1, 2), "whole": pieces((START, TAGS[2], *TILE, END), 1), "wide": llama4(2, 2)},
        skip=UNREPEATED,
    ),
    Family(
        "lfm2_vl",
        "Lfm2VlForConditionalGeneration",
        {
            "vision_config": vision("siglip2_vision_model", num_patches=16),
            "text_config": text(model_type="lfm2", layer_types=["conv", "full_attention"]),
            "image_token_id": IMAGE,
            "projector_hidden_size": 48,
        },
        {"image": lfm2(1, 2, (1, 2)), "whole": lfm2(0, 0, (2, 3)), "wide": lfm2(2, 2, (2, 2))},
    ),
    Family(
        "mistral3",
        "Mistral3ForConditionalGeneration",
        {
            "vision_config": PIXTRAL,
            "text_config": text(model_type="mistral", sliding_window=None),
            "image_token_index": IMAGE,
        },
        {"image": pixtral(2, 3, 8), "wide": pixtral(2, 4, 8)},
    ),
    Family(
        "lighton_ocr",
        "LightOnOcrForConditionalGeneration",
        {"vision_config": PIXTRAL, "text_config": text(model_type="qwen3"), "image_token_id": IMAGE},
        {"image": lighton(2, 3), "wide": lighton(2, 4)},
    ),
    Family(
        "fuyu",
        "FuyuForCausalLM",
        {"patch_size": 4, "image_token_id": IMAGE, "text_config": text(model_type="persimmon")},
        {"image": fuyu(2, 3), "wide": fuyu(3, 3)},
        skip=UNREPEATED,
    ),
    Family(
        "molmo2",
        "Molmo2ForConditionalGeneration",
        {
            "vision_config": vision("molmo2_vision", num_key_value_heads=2, head_dim=16, image_size=[16, 16]),
            "adapter_config": {
                "vision_feature_layer": [1, 0],
                "hidden_size": 32,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "intermediate_size": 48,
                "text_hidden_size": HIDDEN,
            },
            "text_config": text(additional_vocab_size=0, rope_scaling_layers=[0]),
            "image_start_token_id": START,
            "low_res_image_start_token_id": GLOBAL,
            "image_end_token_id": END,
            "image_patch_id": IMAGE,
            "frame_start_token_id": TAGS[0],
            "frame_end_token_id": TAGS[1],
        },
        {"image": molmo2()},
        collate=pooled,
        types="mm_token_type_ids",
        bidirectional=True,
    ),
]
