"""How the cells of a canvas fall on a model's image tokens, seen through its own processor.

A cell whose edge cuts through tokens gives the encoder other features wherever it stands. That is a factor of its own,
and it may look like an effect of the place. One cell after the other is painted white on a black canvas; what changes
in the processor's output says which tokens hold it, however the picture is scaled, padded or cropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bapa.errors import ModelError
from bapa.families.anatomy import image_tokens
from bapa.families.pictures import PromptReader
from bapa.inference.prompts import Prompts
from bapa.probe import Probe
from bapa.schemes import parse

# A token that lies in a cell by more than the one and less than the other part of its area is shared. Scaling blurs the
# edge of a cell by a pixel or two, which is no more than that of a token of 14.
EDGE, WHOLE = 0.1, 0.9

Geometry = dict[str, Any]


def geometry(config: Any, prompts: Prompts, probe: Probe) -> Geometry:
    """How the cells of ``probe`` fall on the image tokens of the model with this ``config``.

    ``tokens``: rows and columns of image tokens of a canvas, None where they are not told. ``cell``: image tokens that
    a cell covers, least and most over the cells. ``shared``: how many cells share tokens with what lies beside them.
    ``reason``: why nothing is told, else None.
    """
    if probe.slots.apart:
        return _untold("every slot is a picture of its own")
    if probe.slots.varied:
        return _untold("the target stands in the middle of one picture and changes itself")
    height, width = probe.design.tall, probe.cell_px
    canvas = np.zeros((probe.height, probe.width, 3), np.uint8)
    text = probe.questions(probe.items[0], 0)[0].text
    empty = prompts.inputs([canvas], text)
    try:
        grid = token_grid(config, empty)
    except ModelError as error:
        return _untold(str(error))
    if grid is None:
        return _untold("the model cuts a picture into tiles, or joins its tokens, so that none stands for one place")
    shares = []
    for cell in range(probe.cells):
        row, col = divmod(cell, probe.cols)
        painted = canvas.copy()
        painted[row * height : (row + 1) * height, col * width : (col + 1) * width] = 255
        shares.append(_share(empty["pixel_values"], prompts.inputs([painted], text)["pixel_values"], grid))
    covered = torch.stack(shares)
    covered = covered / max(float(covered.max()), 1e-9)
    per_cell = covered.sum(1)
    cut = ((covered > EDGE) & (covered < WHOLE)).any(1)
    return {
        "tokens": list(grid),
        "cell": [round(float(per_cell.min()), 2), round(float(per_cell.max()), 2)],
        "shared": int(cut.sum()),
        "reason": None,
    }


def _untold(reason: str) -> Geometry:
    return {"tokens": None, "cell": None, "shared": None, "reason": reason}


def token_grid(config: Any, inputs: dict[str, Any]) -> tuple[int, int] | None:
    """Rows and columns of the image tokens; None where one token does not stand for one place of the picture."""
    pixels = inputs.get("pixel_values")
    if not isinstance(pixels, Tensor):
        return None
    grids = {kind: inputs.get(f"{kind}_grid_thw") for kind in ("image", "video")}
    reader = PromptReader(config, image_tokens(config), parse("native"))
    images = reader.layout(inputs["input_ids"], grids=grids, call=inputs).images(0)
    if len(images) != 1 or (found := images[0].grid) is None or images[0].views:
        return None
    alone = pixels.ndim == 4 and len(pixels) == 1
    listed = pixels.ndim == 2 and len(pixels) % (found.rows * found.cols) == 0  # patches, those of a token together
    return (found.rows, found.cols) if alone or listed else None


def _share(empty: Tensor, painted: Tensor, grid: tuple[int, int]) -> Tensor:
    """How much of each token changed, (tokens,): the mean over its pixels."""
    change = (painted.double() - empty.double()).abs()
    if change.ndim == 2:
        return change.reshape(grid[0] * grid[1], -1).mean(1)
    return torch.nn.functional.adaptive_avg_pool2d(change.mean(1, keepdim=True), grid).flatten()
