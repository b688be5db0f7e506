"""MCA: Manhattan Causal Attention (arXiv 2507.09184): positions by distance to the nearest corner.

Rule: the authors' code, ErikZ719/MCA-LLaVA @a9a1e40, llava/mca_utils/mca.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bapa.layout import Grid
from bapa.schemes.base import GridScheme, patches
from bapa.schemes.effects import Attention


@dataclass(frozen=True)
class Manhattan(GridScheme):
    """Patch (r, c) at ``b + min(r, H-1-r) + min(c, W-1-c)``; the text resumes one after the largest.

    The authors' code knows 24 x 24 patches; other grids are our extension.
    """

    name: ClassVar[str] = "manhattan"
    paper: ClassVar[str] = "MCA-LLaVA, arXiv 2507.09184"
    attention: ClassVar[Attention] = "ranked"

    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        r, c = patches(grid)
        return (torch.minimum(r, grid.rows - 1 - r) + torch.minimum(c, grid.cols - 1 - c))[None]
