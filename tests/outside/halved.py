"""Positions: every other image token shares one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from bapa.layout import Image
from bapa.schemes import Placement, Scheme, register


@register
@dataclass(frozen=True)
class Halved(Scheme):
    """Image token i at ``b + floor(i / 2)``; the text resumes one behind the last."""

    name: ClassVar[str] = "halved"
    paper: ClassVar[str] = "an example"

    def place(self, image: Image, b: float = 0) -> Placement:
        return Placement.after_last(torch.arange(len(image))[None] // 2)
