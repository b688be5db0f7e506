"""CCA: Concentric Causal Attention (arXiv 2410.15926): positions grow from the border to the centre.

Rule: the authors' code, xing0047/cca-llava @8b5bb61, llava/cca_utils/cca.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bapa.layout import Grid
from bapa.schemes.base import GridScheme, is_whole, rings
from bapa.schemes.effects import Attention


@dataclass(frozen=True)
class Concentric(GridScheme):
    """Patch (r, c) at ``b + min(r, H-1-r, c, W-1-c)``, its ring; the text resumes at ``b + R``, R rings.

    The paper defines square grids of even side; R = ceil(min(H, W) / 2) on others is our extension. ``merged``: how
    many of the innermost rings have joined the one around them, at most R - 1 (PyPE merges more in every layer).
    """

    name: ClassVar[str] = "concentric"
    paper: ClassVar[str] = "CCA, arXiv 2410.15926"
    attention: ClassVar[Attention] = "ranked"

    merged: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("merged", is_whole(self.merged, 0), "a whole number from 0 on")

    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        ring = rings(grid)
        kept = max(1, int(ring.max()) + 1 - self.merged)
        return ring.clamp(max=kept - 1)[None]
