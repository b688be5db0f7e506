"""V2PE: Variable Visual Position Encoding (arXiv 2412.09616): image tokens advance by less than one.

Rule: the authors' code, OpenGVLab/V2PE @f96f189, ``get_rope_pos_id``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from bapa.layout import Image
from bapa.schemes.base import Placement, Scheme, is_number


@dataclass(frozen=True)
class Stride(Scheme):
    """Image token k = 1, 2, .. at ``b - 1 + delta k``; the text resumes at the next whole number, plus one.

    The paper's images are unbroken runs. Where tags stand inside one (between tiles, behind rows), the tokens behind a
    tag stand ``delta`` further, at most 1; the tag itself is text and counts one, there and behind the image.
    ``delta``: the paper's S / 256 with S in 1, 2, 4, .. 256 (256 tokens a tile); the default is its evaluation setting,
    S = 64. 1 is the raster, bit for bit; towards 0 all image tokens share a position, the one before BaPA's. On M-RoPE
    models every axis takes the one position.
    """

    name: ClassVar[str] = "stride"
    paper: ClassVar[str] = "V2PE, arXiv 2412.09616"

    delta: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("delta", is_number(self.delta, 1e-6), "a number from 1e-6 on")

    def place(self, image: Image, b: float = 0) -> Placement:
        # Index times delta in double precision: a float range could end one token too far.
        number = torch.arange(1, len(image) + 1, dtype=torch.float64, device="cpu")
        tags = image.columns - image.columns[0] + 1 - number
        advance = self.delta * number
        # 100 x 0.07 is a hair above 7: rounding errors must not carry the text a whole position on.
        return Placement((advance - 1 + min(self.delta, 1) * tags)[None], (advance - 1e-9).ceil())
