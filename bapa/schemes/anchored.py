"""DIPE and EDVT: positions stay native; between text and image, the query looks from elsewhere.

DIPE: the authors' code, lchen1019/DIPE @e0949cd, qwenvl/data/rope2d.py and models/modeling_llm_eagar.py. EDVT:
Vista-LLaMA (CVPR 2024), its abstract and project page; what it does between image tokens, and from image tokens to
text, is not published, and native here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bapa.schemes.effects import Effects, Look, Tokens
from bapa.schemes.native import Native
from bapa.schemes.part import ACROSS, TEXT_TO_IMAGE

Rule = Literal["dipe", "edvt"]


@dataclass(frozen=True)
class Anchored(Native):
    """Positions stay native; across text and image a query stands at its segment's first token, however long that is.

    ``rule``: ``dipe``, as above, in both directions; a segment is an unbroken run of text or of image tokens. ``edvt``:
    text looks at image tokens without rotary positions on either side. Both equalise the length of the text, not the
    places in the image: under ``dipe`` patches still differ by their own positions. Needs eager or sdpa attention.
    """

    name: ClassVar[str] = "anchored"
    paper: ClassVar[str] = "DIPE, ECCV 2026; EDVT, arXiv 2312.08870"

    rule: Rule = "dipe"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("rule", self.rule in ("dipe", "edvt"), "dipe or edvt")

    @property
    def effects(self) -> Effects:
        look = Look(ACROSS, query=anchors) if self.rule == "dipe" else Look(TEXT_TO_IMAGE, query=bare, key=bare)
        return replace(super().effects, looks=(look,))


def anchors(tokens: Tokens) -> Tensor:
    """Position of the first token of each token's segment, which never reaches back beyond its sequence."""
    image, positions = tokens.image, tokens.positions
    columns = torch.arange(image.shape[-1], device=image.device, dtype=torch.long)
    changes = torch.zeros_like(image)
    if tokens.padding is None:
        changes[:, 1:] = image[:, 1:] != image[:, :-1]
    else:
        kept = ~tokens.padding
        last = torch.where(kept, columns, -1).cummax(-1).values
        before = torch.nn.functional.pad(last, (1, 0), value=-1)[:, :-1]
        changes = kept & (before >= 0) & (image != image.gather(-1, before.clamp(min=0)))
    start = torch.where(changes, columns, 0).cummax(-1).values.maximum(tokens.begin)
    return positions.gather(-1, start.expand_as(positions))


def bare(tokens: Tokens) -> Tensor:
    """Position 0, at which nothing is turned."""
    return torch.zeros_like(tokens.positions)
