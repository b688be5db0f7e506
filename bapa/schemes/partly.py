"""A rule for some images of a prompt, the model's own positions for the others: what one rotary channel sees under
``channels=wave<..``, where images differ in length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from bapa.layout import Image
from bapa.schemes.base import Placement, Scheme
from bapa.schemes.effects import Effects
from bapa.schemes.mrope import MRope


def length(rule: Scheme, image: Image) -> int:
    """How far the model itself goes on for ``image``, in positions: its tokens, or max(rows, columns) under M-RoPE."""
    return rule.count(image) if image.advance is None else int(image.advance[-1])


@dataclass(frozen=True)
class Partly(Scheme):
    """``rule`` for images of these ``lengths``, native for all others; not a scheme to be chosen by name."""

    name: ClassVar[str] = "partly"
    paper: ClassVar[str] = ""
    absolute: ClassVar[bool] = True  # the rule may be

    rule: Scheme
    lengths: frozenset[int]

    @property
    def effects(self) -> Effects:
        return replace(self.rule.effects, grid=True)

    def place(self, image: Image, b: float = 0) -> Placement:
        if length(self.rule, image) in self.lengths:
            return self.rule.place(image, b)
        if image.advance is not None:  # several rotary axes
            return Placement(MRope(scope=self.rule.scope).place(image, b).offsets, image.advance)
        counted = torch.arange(1, len(image) + 1, dtype=torch.long, device="cpu")
        return Placement((image.columns - image.columns[0])[None], counted)
