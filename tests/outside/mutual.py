"""Mask: the tokens of an image see each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from bapa.schemes import Effects, register
from bapa.schemes.native import Native


@register
@dataclass(frozen=True)
class Mutual(Native):
    """Positions stay native; every token of an image sees all of them."""

    name: ClassVar[str] = "mutual"
    paper: ClassVar[str] = "an example"

    @property
    def effects(self) -> Effects:
        return replace(super().effects, mask="bidirectional")
