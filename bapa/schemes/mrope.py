"""M-RoPE (Qwen2-VL, arXiv 2409.12191, section 2.1): time, row and column on an axis of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bapa.layout import Grid
from bapa.schemes.base import GridScheme, patches


@dataclass(frozen=True)
class MRope(GridScheme):
    """Patch (r, c) at ``(b, b + r, b + c)`` on time, height, width; the text resumes at ``b + max(H, W)``.

    For still images this is what M-RoPE models do natively; it stands here as the rule of single layers (Circle-RoPE's
    alternating encoding) and for the distances.
    """

    name: ClassVar[str] = "mrope"
    paper: ClassVar[str] = "Qwen2-VL, arXiv 2409.12191"
    axes: ClassVar[int] = 3

    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        r, c = patches(grid)
        return torch.stack([torch.zeros_like(r), r, c])
