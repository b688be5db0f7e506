"""BaPA: Balanced Position Assignment (arXiv 2509.21984 v1, section 4): all tokens of one image share one position."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from bapa.layout import Image
from bapa.schemes.base import Placement, Scheme, is_number
from bapa.schemes.effects import Effects


@dataclass(frozen=True)
class Bapa(Scheme):
    """Every image token at ``b``; the text resumes at ``b + distance``.

    ``distance``: 1 is the paper's rule and the default; any positive number (fractions too) moves the text away from
    the image; ``"native"`` leaves the text where it was: the image's token count behind it, max(rows, columns) in an
    M-RoPE model.
    """

    name: ClassVar[str] = "bapa"
    paper: ClassVar[str] = "arXiv 2509.21984 v1; in text-to-image scores first in IMCCD, arXiv 2501.01926 v1"

    distance: float | Literal["native"] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        valid = self.distance == "native" or (is_number(self.distance) and self.distance > 0)
        self.require("distance", valid, 'a positive number or "native"')

    @property
    def effects(self) -> Effects:
        return replace(super().effects, grid=self.distance == "native")

    def place(self, image: Image, b: float = 0) -> Placement:
        n = len(image)
        shared = torch.zeros(1, n, dtype=torch.long, device="cpu")
        if self.distance == "native":
            counted = torch.arange(1, n + 1, dtype=torch.long, device="cpu")
            return Placement(offsets=shared, resume=counted if image.advance is None else image.advance)
        dtype = torch.long if isinstance(self.distance, int) else torch.float64
        return Placement(offsets=shared, resume=torch.full((n,), self.distance, dtype=dtype, device="cpu"))
