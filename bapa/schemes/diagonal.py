"""VideoRoPE's diagonal layout (arXiv 2502.05173): the image is centred on the line the text runs along.

Rule: the authors' code, Wiselnn570/VideoRoPE @7712ca3, videorope-transformer/modeling_videorope.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from bapa.layout import Grid, Image
from bapa.schemes.base import GridScheme, Placement, patches


@dataclass(frozen=True)
class Diagonal(GridScheme):
    """Patch (r, c) at ``(b, b + r - floor((H-1)/2), b + c - floor((W-1)/2))``; the text resumes at ``b + 1``.

    The layout alone: the model keeps its own frequencies, which VideoRoPE deals out anew in training. The text stands
    on positions that patches right of and below the centre also take.
    """

    name: ClassVar[str] = "diagonal"
    paper: ClassVar[str] = "VideoRoPE, arXiv 2502.05173"
    axes: ClassVar[int] = 3

    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        r, c = patches(grid)
        return torch.stack([torch.zeros_like(r), r - (grid.rows - 1) // 2, c - (grid.cols - 1) // 2])

    def place(self, image: Image, b: float = 0) -> Placement:
        return replace(super().place(image, b), resume=torch.ones(len(image), dtype=torch.long, device="cpu"))
