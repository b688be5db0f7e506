"""One-axis families whose image comes in pieces: tiles with tags, or rows with breaks."""

from __future__ import annotations

from typing import Any

import torch

from tests.tiny.base import FAKE, GLOBAL, IMAGE, NEWLINE, TAGS, Family, Picture, by_row, text, vision


def tagged_tiles(rows: int, cols: int) -> Picture:
    """Idefics3: a tag before each tile of 4 tokens, a line end after each row of tiles, the whole picture last."""
    ids: tuple[int, ...] = ()
    for row in range(rows):
        for col in range(cols):
            ids += (FAKE, TAGS[row * cols + col], *(IMAGE,) * 4)
        ids += (NEWLINE,)
    ids += ((NEWLINE,) if rows else ()) + (FAKE, GLOBAL, *(IMAGE,) * 4, FAKE)
    tiles = rows * cols + 1
    ones = torch.ones(tiles, 16, 16, dtype=torch.long)
    grid = None if rows else (2, 2)
    return Picture(ids, {"pixel_values": (tiles, 3, 16, 16), "pixel_attention_mask": ones}, grid=grid)


def idefics3(tower: str) -> dict[str, Any]:
    return {
        "vision_config": vision(tower, image_size=16),
        "text_config": text(model_type="llama"),
        "image_token_id": IMAGE,
        "scale_factor": 2,
    }


TILED = {"image": tagged_tiles(1, 2), "whole": tagged_tiles(0, 0), "wide": tagged_tiles(2, 2)}

FAMILIES = [
    Family("idefics3", "Idefics3ForConditionalGeneration", idefics3("idefics3_vision"), TILED, collate=by_row),
    Family("smolvlm", "SmolVLMForConditionalGeneration", idefics3("smolvlm_vision"), TILED, collate=by_row),
]
