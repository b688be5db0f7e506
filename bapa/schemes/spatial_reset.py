"""M-RoPE with spatial reset (arXiv 2510.23095): rows and columns count from zero in every image.

Rule: the authors' code, JJJYmmm/Multimodal-RoPEs @1c8ae64, multimodal_ropes/pos_design/mrope_i.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from bapa.layout import Image
from bapa.schemes.base import Placement
from bapa.schemes.mrope import MRope


@dataclass(frozen=True)
class SpatialReset(MRope):
    """Patch (r, c) at ``(b, r, c)`` on time, height, width; the text resumes at ``b + max(H, W)``, as under M-RoPE."""

    name: ClassVar[str] = "spatial_reset"
    paper: ClassVar[str] = "MRoPE-I, arXiv 2510.23095; for stills also Omni-RoPE (OmniGen2)"
    absolute: ClassVar[bool] = True

    def place(self, image: Image, b: float = 0) -> Placement:
        placed = super().place(image)
        home = torch.tensor([[0], [b], [b]], dtype=torch.float64, device="cpu")
        return replace(placed, offsets=placed.offsets - home)
