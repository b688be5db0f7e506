"""SoFA (CVPR 2025, arXiv 2503.13792): in every second layer image tokens also see later ones, with less weight.

Rule: a re-implementation, brightXian/LAD @f0df01f, src/methods/sofa.py. The paper softens the mask between images; the
re-implementation between all image tokens, those of one image too, and that is what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from bapa.schemes.base import is_number
from bapa.schemes.effects import Effects
from bapa.schemes.native import Native


@dataclass(frozen=True)
class Sofa(Native):
    """Positions stay native; an image token sees later ones with ``log(sigma)`` added to the score, in even layers.

    It is ``native:image_attention=soft:SIGMA,layers=even``; layers count from 0.
    """

    name: ClassVar[str] = "sofa"
    paper: ClassVar[str] = "SoFA, arXiv 2503.13792"

    sigma: float = 0.5
    layers: str = field(default="even", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("sigma", is_number(self.sigma) and 0 < self.sigma <= 1, "a number above 0 up to 1")
        self.require("image_attention", self.image_attention == "native", "native, for sofa brings a mask of its own,")

    @property
    def effects(self) -> Effects:
        return replace(super().effects, mask="soft", sigma=self.sigma)
