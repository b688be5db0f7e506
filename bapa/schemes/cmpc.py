"""CMPC: where text looks at images, image positions are compressed, and the text stands right behind them.

Rule: the authors' code, lijm48/IMCCD, ``modi_pos_low_angle`` (CMAC, arXiv 2501.01926 v3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch

from bapa.layout import Image
from bapa.schemes.base import Placement, Scheme, is_number
from bapa.schemes.part import Pairs


@dataclass(frozen=True)
class Cmpc(Scheme):
    """Image token k = 0, 1, .. at ``b + k / s``, text at ``b + n / s``, in the pairs and layers of IMCCD.

    ``s``: how much the image is compressed. Tags inside an image count as the image tokens around them do.
    """

    name: ClassVar[str] = "cmpc"
    paper: ClassVar[str] = "CMPC (CMAC), arXiv 2501.01926 v3"

    s: float = 2
    pairs: Pairs = field(default="text-to-image", kw_only=True)
    layers: str = field(default="0-5", kw_only=True)
    blend: float = field(default=0.2, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("s", is_number(self.s, 1), "a number from 1 on")

    def place(self, image: Image, b: float = 0) -> Placement:
        stands = (image.columns - image.columns[0]).double()
        number = torch.arange(1, len(image) + 1, dtype=torch.long, device=image.columns.device)
        tags = stands + 1 - number  # before each token; as text they count one each, in `resume` not
        return Placement((stands / self.s)[None], (stands + 1) / self.s - tags)
