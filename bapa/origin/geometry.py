"""Which part of the canvas each image token stands for, and which tokens fill which cell.

The processor tells: fed with ramps of grey instead of a picture, it resizes, pads and cuts them like one, so that its
pixels come out as coordinates. Averaged over what goes into a token, they say where the token looks, thumbnails and
tiles included. A model that packs its tokens itself (LLaVA-NeXT: newlines, unpadding) packs the coordinates too.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from bapa.errors import ModelError
from bapa.families.anatomy import PICTURES, Anatomy
from bapa.families.pictures import Reader
from bapa.inference.prompts import Prompts
from bapa.schemes import NATIVE

Inputs = Mapping[str, Any]
_FAINT = 0.05  # share of the span from black to white below which a pixel shows nothing of the canvas (padding)


def ramps(height: int, width: int) -> list[np.ndarray]:
    """Black, white, and grey rising from top to bottom and from left to right: uint8 (height, width, 3) each."""
    down = np.rint(255 * (np.arange(height) + 0.5) / height).astype(np.uint8)
    right = np.rint(255 * (np.arange(width) + 0.5) / width).astype(np.uint8)
    flat = np.zeros((height, width), np.uint8)
    planes = (flat, flat + np.uint8(255), flat + down[:, None], flat + right[None])
    return [np.repeat(plane[..., None], 3, -1) for plane in planes]


def trace(anatomy: Anatomy, prompts: Prompts, size: tuple[int, int], text: str) -> Tensor:
    """:func:`locate` for canvases of ``size`` (height, width) in pixels, through the model's own processor."""
    return locate(anatomy, [prompts.inputs([ramp], text) for ramp in ramps(*size)])


def locate(anatomy: Anatomy, traced: Sequence[Inputs]) -> Tensor:
    """Where each image token looks: float32 (tokens, 2), the centre of its part of the canvas as fractions of height
    and width; NaN for tokens that show no part of it (newlines, padding).

    ``traced``: what a forward would get for each of the four :func:`ramps`, one row each.

    Raises ModelError for a model whose tokens do not follow from its pixels in a way known here.
    """
    ids = traced[0]["input_ids"]
    tokens = int(torch.isin(ids.cpu(), anatomy.tokens).sum())
    name = next((n for n, v in traced[0].items() if PICTURES.match(n) and isinstance(v, Tensor)), None)
    if name is None or not tokens:
        raise ModelError(f"{type(anatomy.model).__name__}: its inputs hold no picture to follow")
    black, white, down, right = (inputs[name].float() for inputs in traced)
    span = white - black
    shown = span.abs() > _FAINT * span.abs().max()
    coordinates = torch.stack([(ramp - black) / torch.where(shown, span, 1.0) for ramp in (down, right)])
    if black.dim() <= 3:  # patches laid out as vectors
        patches = _ratio(coordinates.flatten(1, -2).mean(-1), shown.flatten(0, -2).float().mean(-1))
        if len(patches) % tokens:
            raise ModelError(f"{len(patches)} patches do not make {tokens} tokens in equal parts")
        return patches.view(tokens, -1, 2).nanmean(1)  # patches of one token follow each other
    planes = coordinates.mean(-3).flatten(1, -3)  # (2, tiles, height, width)
    seen = shown.float().mean(-3).flatten(0, -3)
    return _tiled(anatomy, planes, seen, tokens, traced[0])


def _tiled(anatomy: Anatomy, planes: Tensor, seen: Tensor, tokens: int, inputs: Inputs) -> Tensor:
    tiles = len(seen)
    pack = getattr(anatomy.outer, "pack_image_features", None)
    if pack is not None and "image_sizes" in inputs:
        vision = anatomy.model.config.vision_config
        side = vision.image_size // vision.patch_size
        known = {"vision_feature_select_strategy": "full", "image_newline": torch.full((2,), torch.nan)}
        taken = inspect.signature(pack).parameters
        packed = pack(
            [_pool(planes, seen, side, side)],
            inputs["image_sizes"],
            **{name: value for name, value in known.items() if name in taken},
        )
        found: Tensor = (packed[0] if isinstance(packed, tuple) else packed)[0]
    else:
        images = Reader(anatomy, NATIVE).read(dict(inputs), 0)
        grid = images.images(0)[0].grid if images is not None and tiles == 1 else None
        side = math.isqrt(tokens // tiles)
        rows, cols = (grid.rows, grid.cols) if grid else (side, side)
        found = _pool(planes, seen, rows, cols).flatten(0, 1)
    if len(found) != tokens:
        raise ModelError(
            f"{type(anatomy.model).__name__}: {tiles} tiles give {len(found)} places, the prompt has {tokens} image "
            "tokens; which token shows what is not known for this family"
        )
    return found


def _pool(planes: Tensor, seen: Tensor, rows: int, cols: int) -> Tensor:
    """Mean coordinates of rows x cols patches: (tiles, rows * cols, 2)."""
    total = adaptive_avg_pool2d(planes * seen, (rows, cols)).flatten(-2)
    weight = adaptive_avg_pool2d(seen[None], (rows, cols)).flatten(-2)[0]
    return _ratio(total, weight)


def _ratio(total: Tensor, weight: Tensor) -> Tensor:
    """Coordinates (2, ..) over the share of pixels that show the canvas, as (.., 2); NaN where less than half does."""
    return torch.where(weight > 0.5, total / weight.clamp(min=1e-6), torch.nan).movedim(0, -1)


def cell_of(places: Tensor, rows: int, cols: int) -> Tensor:
    """The cell each token looks at, LongTensor (tokens,), row-major; -1 for none. ``places``: as of :func:`locate`."""
    line = (places * torch.tensor([rows, cols])).nan_to_num(-1)
    row, col = line.floor().long().unbind(-1)
    inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
    return torch.where(inside, row * cols + col, -1)


@dataclass(frozen=True)
class Cells:
    """``of``: LongTensor (tokens,), the cell of each image token, -1 for none. ``blocks``: LongTensor (cells, n), the
    tokens of each cell, the k-th of one cell at the place of the k-th of any other; None where the cells do not hold
    the same patches, with the ``reason``.
    """

    of: Tensor
    blocks: Tensor | None
    reason: str | None = None

    def __len__(self) -> int:
        return int(self.of.max()) + 1


def cells(places: Tensor, rows: int, cols: int) -> Cells:
    """Which tokens fill which cell of a rows x cols grid. ``places``: as of :func:`locate`."""
    of = cell_of(places, rows, cols)
    members = [(of == cell).nonzero().flatten() for cell in range(rows * cols)]
    counts = sorted({len(tokens) for tokens in members})
    again = f"build a probe whose grid divides the model's patches, e.g. bapa probe SOURCE --rows {_fits(places)}"
    if len(counts) > 1 or not counts[0]:
        return Cells(of, None, f"the cells hold {counts[0]} to {counts[-1]} image tokens, not equally many; {again}")
    within = (places * torch.tensor([rows, cols])) % 1
    rank = torch.arange(counts[0]) * 1e-4
    blocks = [members[0]]
    for tokens in members[1:]:
        apart = torch.cdist(within[members[0]], within[tokens]) + (rank[:, None] - rank).abs()
        order = linear_sum_assignment(apart.numpy())[1]
        if float((within[members[0]] - within[tokens[order]]).abs().max()) > 0.25 / math.sqrt(counts[0]) + 0.03:
            return Cells(of, None, f"the cells are cut differently by the model's patches; {again}")
        blocks.append(tokens[order])
    return Cells(of, torch.stack(blocks))


def _fits(places: Tensor) -> str:
    lines = places[:, 0][places[:, 0].isfinite()].mul(1e3).round().unique()
    rows = next((n for n in (3, 4, 2, 5, 6) if len(lines) % n == 0), 2)
    return f"{rows} --cols {rows}"
