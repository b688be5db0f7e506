"""Facts about single families that structure alone does not tell.

``JOINED`` answers, for families that write one image in several pieces, whether two neighbouring runs of image tokens
belong to the same image. It sees the row's token ids, the column behind the first run, the first column of the
second, and the config. Families without an entry write an image as one run. Sources: the processors of transformers
5.23.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Joined = Callable[[Tensor, int, int, Any], bool]


def _one_tag(ids: Tensor, end: int, start: int, config: Any) -> bool:
    """One tag or break between pieces; a further image closes and opens, which takes two tokens at least."""
    return start - end == 1


def _one_break(ids: Tensor, end: int, start: int, config: Any) -> bool:
    """Pixtral ends every row with a break and the last with an end: the first image's break tells the two apart."""
    features = ids == ids[end - 1]
    stops = (features[:-2] & ~features[1:-1] & ~features[2:]).nonzero().flatten() + 1
    if len(stops):  # what text follows is an end
        return start - end == 1 and not bool(torch.isin(ids[end], ids[stops]))
    first = int(features.nonzero()[0])
    behind_first_row = ids[first + int((~features[first:]).nonzero()[0])]
    return start - end == 1 and bool(ids[end] == behind_first_row)


def _one_of_five(ids: Tensor, end: int, start: int, config: Any) -> bool:
    """Idefics2: one tag between four crops and the whole picture, and between pictures that stand side by side.

    Pieces that follow each other at once are pictures of five where their number is a multiple of five: a processor
    splits all pictures or none. Five whole pictures side by side read the same, and count as one.
    """
    features = (ids == ids[end - 1]).nonzero().flatten()
    cuts = (features.diff() > 1).nonzero().flatten()
    begins = [int(features[0]), *features[cuts + 1].tolist()]
    ends = [*(features[cuts] + 1).tolist(), int(features[-1]) + 1]
    here = begins.index(start)
    first = last = here
    while first and begins[first] - ends[first - 1] == 1:
        first -= 1
    while last + 1 < len(begins) and begins[last + 1] - ends[last] == 1:
        last += 1
    return start - end == 1 and (last + 1 - first) % 5 == 0 and (here - first) % 5 != 0


def _one_border(ids: Tensor, end: int, start: int, config: Any) -> bool:
    """Idefics3: line ends, if any, then border and tag; a further image closes its border first or stands behind text.

    Granite-Docling writes two single-tile images that follow each other at once like two tiles of one image.
    """
    gap = ids[end:start]
    line_ends = gap[:-2]
    return 2 <= len(gap) <= 4 and bool((line_ends == gap[0]).all()) and int((gap == gap[-2]).sum()) == 1


def _not_closed(ids: Tensor, end: int, start: int, config: Any) -> bool:
    """Llama 4: at most a row separator and the mark of the whole picture between tiles, no end of image."""
    return start - end <= 2 and not bool((ids[end:start] == config.eoi_token_index).any())


def _not_opened(ids: Tensor, end: int, start: int, config: Any) -> bool:
    """Molmo2: a break between rows; end, start and a break between whole picture and crops; a further image opens
    anew.
    """
    return start - end <= 3 and not bool((ids[end:start] == config.low_res_image_start_token_id).any())


def _not_begun(ids: Tensor, end: int, start: int, config: Any) -> bool:
    """MiniCPM: the whole picture opens with a tag of its own, its slices with another, a line end between rows."""
    opens = int((ids == ids[end - 1]).nonzero()[0]) - 1
    return start - end <= 3 and opens >= 0 and bool(ids[start - 1] != ids[opens])


def _not_ended(ids: Tensor, end: int, start: int, config: Any) -> bool:
    """Step3: the whole picture comes last and closes with a tag of its own, its patches with another."""
    closes = int((ids == ids[end - 1]).nonzero()[-1]) + 1
    return start - end <= 3 and closes < len(ids) and bool(ids[end] != ids[closes])


JOINED: dict[str, Joined] = {
    "aya_vision": _one_tag,
    "cohere2_vision": _one_tag,
    "fuyu": _one_tag,
    "granite_docling": _one_border,
    "idefics2": _one_of_five,
    "idefics3": _one_border,
    "lfm2_vl": _one_tag,
    "llama4": _not_closed,
    "minicpm_ocr": _not_begun,
    "minicpmv4_6": _not_begun,
    "mistral3": _one_break,
    "mistral_large4": _one_break,
    "molmo2": _not_opened,
    "ovis2": _one_tag,
    "smolvlm": _one_border,
    "step3p7": _not_ended,
}

# Families whose positions stand where the hooks do not reach them, and why.
REFUSED = {
    "minicpmv4_7": "it pins the tags around an image to the image's own canvas, so that text behind them does not "
    "count on from the image",
    "phi4_multimodal": "pictures with nothing between them would become one image, and compiled it would answer "
    "otherwise than it does",
    "qwen4_exp": "its indexer turns all keys anew at every step, by positions that no cache keeps",
}

# Families whose image is written row by row with breaks between: the rows tell the grid.
ROWS = {"fuyu", "mistral3", "mistral_large4"}

# Families that scale queries and keys channel by channel after the rotary embedding has turned them.
NORMED = {"hunyuan_vl"}

# Families that write each picture as one run, with nothing between pictures that stand side by side. Aria's crops are
# pictures of their own: its processor splits none unless told to, and the prompt does not say.
APART = {
    "aria",
    "deepseek_ocr2",
    "deepseek_vl",
    "deepseek_vl_hybrid",
    "fast_vlm",
    "granite4_vision",
    "lighton_ocr",
    "llava",
    "llava_next",
    "llava_next_video",
    "llava_onevision",
    "paligemma",
    "perception_lm",
    "unlimited_ocr",
    "video_llava",
    "vipllava",
}


def kind(config: Any) -> str:
    """The family of ``config``, as it is called here. Pixtral inside LLaVA writes its pictures as Mistral 3 does."""
    name: str = config.model_type.replace("-", "_")  # transformers 4 writes lfm2-vl
    tower = getattr(getattr(config, "vision_config", None), "model_type", "")
    return "mistral3" if name == "llava" and tower == "pixtral" else name


def squares(config: Any) -> set[int]:
    """Token counts at which one picture or tile fills a square: those of the vision tower's fixed image size."""
    vision = getattr(config, "vision_config", None)
    side, patch = (getattr(vision, name, None) for name in ("image_size", "patch_size"))
    side, patch = (value[0] if isinstance(value, list | tuple) and value else value for value in (side, patch))
    said = ("image_seq_length", "mm_tokens_per_image", "vision_soft_tokens_per_image")
    counts = {getattr(config, name, None) for name in said}
    if isinstance(side, int) and isinstance(patch, int):
        named = (
            (config, "scale_factor"),
            (vision, "scale_factor"),
            (config, "downsample_factor"),
            (vision, "hidden_stride"),
        )
        shrink = next((getattr(part, name) for part, name in named if hasattr(part, name)), 1)
        shuffled = getattr(vision, "pixel_shuffle_ratio", 1)  # Llama 4: by how much each side shrinks
        counts.add(int(side // patch * shuffled) ** 2 // (shrink**2 if isinstance(shrink, int) else 1))
    return {count for count in counts if isinstance(count, int)}
