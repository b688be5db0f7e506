"""RESTORE gives back what RoPE takes from far image tokens on average. UNVERIFIED: read from notes, no code was seen.

What is known: scores get ``log(s (c - D))``, with D the mean cosine of the rotary pairs at the distance of query and
key. To which pairs, and ``s`` and ``c``, is our reading: all queries that look at image tokens, and numbers that leave
the nearest key as it was. Their method merges image tokens as well; that is not here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from bapa.schemes.base import is_number
from bapa.schemes.effects import Bias, Effects
from bapa.schemes.native import Native
from bapa.schemes.part import EVERY


@dataclass(frozen=True)
class Restore(Native):
    """Positions stay native; scores of image keys get ``log(s (c - D))``, D the mean cosine of the rotary pairs there.

    D is 1 at distance 0 and falls towards 0: with the defaults a far image token weighs up to twice what it did, and
    the order of the tokens keeps its meaning. Needs eager or sdpa attention.
    """

    name: ClassVar[str] = "restore"
    paper: ClassVar[str] = "RESTORE, arXiv 2606.01711, unverified"

    s: float = 1
    c: float = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("s", is_number(self.s) and self.s > 0, "a positive number")
        self.require("c", is_number(self.c) and self.c > 1, "a number above 1")

    @property
    def effects(self) -> Effects:
        pairs = frozenset((query, key) for query, key in EVERY if key == "image")
        return replace(super().effects, bias=Bias(pairs, self.given_back))

    def given_back(self, cosine: Tensor) -> Tensor:
        """What is added to scores whose rotary pairs have this mean cosine, shaped as it is."""
        return (self.s * (self.c - cosine)).log()
