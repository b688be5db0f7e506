"""Attention: text looks at image tokens from farther away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from bapa.schemes import Effects, Look, Tokens, register
from bapa.schemes.native import Native
from bapa.schemes.part import TEXT_TO_IMAGE


@register
@dataclass(frozen=True)
class Farther(Native):
    """Positions stay native; a text token looks at image tokens from ``by`` positions further on."""

    name: ClassVar[str] = "farther"
    paper: ClassVar[str] = "an example"

    by: int = 5

    @property
    def effects(self) -> Effects:
        return replace(super().effects, looks=(Look(TEXT_TO_IMAGE, query=self.moved),))

    def moved(self, tokens: Tokens) -> Tensor:
        """Position that each token looks from."""
        return tokens.positions + self.by
