"""AGCI, the rival from the authors themselves (arXiv 2509.21984 v2): positions stay, image features take in their mean.

Rule: the authors' code, AAAndy-Zhu/AGCI @6f8e426.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bapa.schemes.base import is_number
from bapa.schemes.effects import Effects, Features
from bapa.schemes.native import Native


@dataclass(frozen=True)
class Agci(Native):
    """Each image feature takes in the mean of its image; positions stay native.

    Feature v becomes ``v + strength * (1 - cos(v, g)) * g``, with g the mean. ``mean``: over one ``image``, or over the
    whole ``call`` as the authors do for most models, which lets the rows of a batch leak into each other.
    """

    name: ClassVar[str] = "agci"
    paper: ClassVar[str] = "AGCI, arXiv 2509.21984 v2"

    strength: float = 0.5
    mean: Literal["image", "call"] = "image"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("strength", is_number(self.strength) and self.strength >= 0, "a number from 0 on")
        self.require("mean", self.mean in ("image", "call"), "image or call")

    @property
    def effects(self) -> Effects:
        return replace(super().effects, features=Features(self.enrich, over=self.mean))

    def enrich(self, features: Tensor) -> Tensor:
        """The new features of one image (or call): Tensor (tokens, hidden) to the same shape and dtype."""
        g = features.mean(0, keepdim=True)
        away = 1 - torch.cosine_similarity(features, g, dim=-1)[:, None]
        return features + self.strength * away * g
