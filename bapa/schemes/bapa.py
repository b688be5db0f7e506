"""BaPA: Balanced Position Assignment (arXiv 2509.21984 v1, section 4): all tokens of one image share one position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from bapa.layout import Image
from bapa.schemes.base import Placement, Scheme, is_number


@dataclass(frozen=True)
class Bapa(Scheme):
    """Every image token at ``b``; the text resumes at ``b + distance``.

    ``distance``: 1 is the paper's rule and the default; any positive number (fractions too) moves the text away from
    the image; ``"native"`` is the image's token count, which leaves the text where it was.
    """

    name: ClassVar[str] = "bapa"
    paper: ClassVar[str] = "arXiv 2509.21984 v1"

    distance: float | Literal["native"] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        valid = self.distance == "native" or (is_number(self.distance) and self.distance > 0)
        self.require("distance", valid, 'a positive number or "native"')

    def place(self, image: Image, b: float = 0) -> Placement:
        n = len(image)
        shared = torch.zeros(1, n, dtype=torch.long)
        if self.distance == "native":
            return Placement(offsets=shared, resume=torch.arange(1, n + 1))
        return Placement(offsets=shared, resume=torch.tensor(self.distance).repeat(n))
