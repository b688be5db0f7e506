"""Features: pictures are dimmed on their way in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from bapa.schemes import Effects, Features, register
from bapa.schemes.native import Native


@register
@dataclass(frozen=True)
class Dimmed(Native):
    """Positions stay native; image features are multiplied by ``light``."""

    name: ClassVar[str] = "dimmed"
    paper: ClassVar[str] = "an example"

    light: float = 0.5

    @property
    def effects(self) -> Effects:
        return replace(super().effects, features=Features(self.dim))

    def dim(self, features: Tensor) -> Tensor:
        """The new features of one image, shaped as they were."""
        return self.light * features
