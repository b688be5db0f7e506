"""Reversed raster, a control: the last patch first. CCA's authors train with it (arXiv 2410.15926, model F_r)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from bapa.layout import Image
from bapa.schemes.base import Placement, Scheme
from bapa.schemes.effects import Attention


@dataclass(frozen=True)
class Reverse(Scheme):
    """Image token i at ``b + n - 1 - i``, text at ``b + n``: a bias that comes from positions turns upside down.

    On M-RoPE models every axis takes the one position.
    """

    name: ClassVar[str] = "reverse"
    paper: ClassVar[str] = "control; CCA, arXiv 2410.15926"
    attention: ClassVar[Attention] = "ranked"

    def place(self, image: Image, b: float = 0) -> Placement:
        i = torch.arange(len(image), dtype=torch.long, device="cpu")
        return Placement.after_last(self.count(image) - 1 - i[None])
