"""Native: raster order, ``b + i``, as the model was trained. Balancing with it leaves the model untouched, bit for
bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from bapa.layout import Image
from bapa.schemes.base import Placement, Scheme
from bapa.schemes.effects import Effects


@dataclass(frozen=True)
class Native(Scheme):
    """Image token i at ``b + i``, text resumes at ``b + n``; models with several rotary axes keep their own rule."""

    name: ClassVar[str] = "native"
    paper: ClassVar[str] = ""

    @property
    def effects(self) -> Effects:
        return replace(super().effects, positions=False)

    def place(self, image: Image, b: float = 0) -> Placement:
        i = torch.arange(len(image), dtype=torch.long, device="cpu")
        return Placement(offsets=i[None], resume=i + 1)
