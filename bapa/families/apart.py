"""How many tokens each picture fills, where nothing in the prompt tells pictures apart that stand side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from bapa.errors import ModelError
from bapa.families import facts, tiles

TILED = {"perception_lm"}  # whose encoder tells tiles, not pictures
PIXELS = {"image": ("pixel_values", "pixel_values_images"), "video": ("pixel_values_videos",)}


def lengths(config: Any, runs: Mapping[str, Sequence[int]], call: Mapping[str, Any]) -> dict[str, list[int]]:
    """Token count of every picture, by kind (``image``, ``video``), in reading order.

    ``runs``: token counts of the unbroken runs of each kind. ``call``: what comes with the pictures, by the names of a
    forward's arguments.

    Raises ModelError where a run holds several pictures and nothing tells how long each is.
    """
    return {kind: _lengths(config, kind, found, call) for kind, found in runs.items()}


def _lengths(config: Any, kind: str, runs: Sequence[int], call: Mapping[str, Any]) -> list[int]:
    pictures = _pictures(kind, call, facts.kind(config) in TILED)
    for told in _candidates(config, kind, sum(runs), pictures, call):
        if _fill(runs, told):
            return told
    if pictures is not None and pictures > len(runs) > 0:
        raise ModelError(
            f"{pictures} pictures stand in {len(runs)} runs of {list(runs)} tokens, and nothing tells where one ends; "
            "pass what the processor gives with them (image_sizes), or write text between pictures"
        )
    return list(runs)


def _candidates(config: Any, kind: str, total: int, pictures: int | None, call: Mapping[str, Any]) -> list[list[int]]:
    """What the lengths may be, the surest first."""
    found: list[list[int]] = []
    name = facts.kind(config)
    if (features := encoded(kind, call)) and name not in TILED:
        found.append([len(picture) for picture in features])
    sizes = call.get("image_sizes")
    if kind == "image" and isinstance(sizes, Tensor):
        if name in tiles.ANYRES:
            found += _anyres(config, sizes.tolist(), call.get("batch_num_images"))
        elif name == "lighton_ocr":
            side = config.vision_config.patch_size * config.spatial_merge_size
            found.append([height // side * (width // side) for height, width in sizes.tolist()])
    if pictures and total % pictures == 0:
        found.append([total // pictures] * pictures)
    if pictures is None and kind == "image" and name not in TILED | tiles.ANYRES:
        found += [[count] * (total // count) for count in sorted(facts.squares(config), reverse=True) if count]
    return found


def frames(lengths: Sequence[int], call: Mapping[str, Any]) -> list[int]:
    """Token count of every frame of clips of so many tokens, in reading order; what stands behind the last frame counts
    to it. A clip whose frames are not told counts as one.
    """
    count = _frame_count(call)
    found: list[int] = []
    for length in lengths:
        each = length // count
        found += [length] if each == 0 else [*[each] * (count - 1), length - each * (count - 1)]
    return found


def _frame_count(call: Mapping[str, Any]) -> int:
    """How many frames each clip of a call has, all alike; 1 where nothing tells."""
    pixels, clips = call.get(PIXELS["video"][0]), len(encoded("video", call))
    if isinstance(pixels, Tensor) and pixels.dim() == 5:
        return pixels.shape[1]
    towers = getattr((call.get("mm_encoder_outputs") or {}).get("video"), "last_hidden_state", None)
    if clips and isinstance(towers, Tensor):  # the vision tower sees frame by frame
        return max(1, len(towers) // clips)
    return 1


def _anyres(config: Any, sizes: Sequence[Sequence[int]], crowds: Any) -> list[list[int]]:
    """All pictures in tiles; or only those that stand alone in their row, where a family says how many a row has."""
    whole = [sum(map(len, tiles.anyres(config, size))) for size in sizes]
    if not isinstance(crowds, Tensor):
        return [whole]
    alone = [count == 1 for count in crowds.flatten().tolist() for _ in range(count)]
    if len(alone) != len(whole):
        return [whole]
    few = tiles.thumbnail(config)
    return [[length if single else few for length, single in zip(whole, alone, strict=True)], whole]


def _fill(runs: Sequence[int], told: Sequence[int]) -> bool:
    """Whether pictures of these lengths fill the runs, each of which holds whole ones."""
    ends = {0}
    for length in told:
        if length <= 0:
            return False
        ends.add(max(ends) + length)
    total, stops = 0, []
    for run in runs:
        total += run
        stops.append(total)
    return max(ends) == total and ends.issuperset(stops)


def _pictures(kind: str, call: Mapping[str, Any], tiled: bool) -> int | None:
    """How many pictures come in; None where that is not told."""
    if features := encoded(kind, call):
        return None if tiled else len(features)
    for name in PIXELS[kind]:
        if isinstance(pixels := call.get(name), Tensor) and pixels.dim() >= 4:
            sizes = call.get("image_sizes")
            return len(sizes) if kind == "image" and isinstance(sizes, Tensor) else len(pixels)
    return None


def encoded(kind: str, call: Mapping[str, Any]) -> Sequence[Tensor]:
    """The features of each picture, (tokens, channels), where they come in encoded."""
    features = getattr((call.get("mm_encoder_outputs") or {}).get(kind), "pooler_output", None)
    return () if features is None else list(features)


def complete(config: Any, tokens: int) -> bool | None:
    """Whether a picture of ``tokens`` is all there, in families whose pictures all fill the same; else None."""
    fixed = {count for count in facts.squares(config) if math.isqrt(count) ** 2 == count}
    return tokens in fixed if fixed and facts.kind(config) not in tiles.ANYRES else None
