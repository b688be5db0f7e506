"""Shuffled raster, a control that destroys what positions tell and keeps content, mask and token count.

VPSG (Findings of ACL 2026) decodes against such permutations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from bapa.layout import Image
from bapa.schemes.base import Placement, Scheme, is_whole


@dataclass(frozen=True)
class Shuffle(Scheme):
    """Image token i at ``b + p(i)``, p a fixed permutation; the text resumes at ``b + n``.

    ``seed``: with the number of tokens it settles the permutation, the same on every machine. On M-RoPE models every
    axis takes the one position.
    """

    name: ClassVar[str] = "shuffle"
    paper: ClassVar[str] = "control; VPSG"

    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("seed", is_whole(self.seed, 0), "a whole number from 0 on")

    def place(self, image: Image, b: float = 0) -> Placement:
        n = self.count(image)
        # numpy promises the raw stream of a bit generator for good, but not what it makes of it.
        order = np.random.PCG64([self.seed, n]).random_raw(n).argsort(kind="stable")
        return Placement.after_last(torch.from_numpy(order)[None, : len(image)])
