"""VRoPE (arXiv 2502.11664, section 3): four coordinates of a patch, one from each corner, dealt over the channels.

Rule: checked against the authors' code, johncaged/VRoPE @6a7adbc; one frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bapa.layout import Grid
from bapa.schemes.base import GridScheme, patches


@dataclass(frozen=True)
class VRope(GridScheme):
    """Rotary pair j takes the patch's distance to corner j mod 4, from ``b``; the text resumes at ``b + H + W - 1``.

    The corners are top left, top right, bottom left, bottom right; distances are Manhattan. Their mean is (H + W - 2)
    / 2 for every patch, so that none is nearer to the text than another.
    """

    name: ClassVar[str] = "vrope"
    paper: ClassVar[str] = "VRoPE, arXiv 2502.11664"
    sets: ClassVar[int] = 4

    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        r, c = patches(grid)
        up, left = grid.rows - 1 - r, grid.cols - 1 - c
        return torch.stack([r + c, r + left, up + c, up + left])
