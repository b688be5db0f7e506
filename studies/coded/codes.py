"""Codes of places, which are added to the image tokens: a stand-in for an encoder that knows absolute places."""

from __future__ import annotations

import torch
from torch import Tensor

from studies.aligned.projector import Named
from studies.pretrained.build import GRID

SIZE = 0.5  # of the codes, in mean distances of a name's embedding from their mean
_SLOWEST = 10_000.0


def codes(named: Named) -> Tensor:
    """Of each image token, row by row, (81, width) float32: a half of the channels tells its row and the other its
    column, by sines and cosines of as many frequencies (He et al., arXiv 2111.06377, after Vaswani et al.), less the
    mean over the picture.
    """
    width = named.embedding.shape[1]
    frequency = _SLOWEST ** -(torch.arange(width // 4) / (width // 4))
    angle = torch.arange(GRID)[:, None] * frequency
    along = torch.cat([angle.sin(), angle.cos()], 1)  # (9, width / 2)
    both = torch.cat([along.repeat_interleave(GRID, 0), along.repeat(GRID, 1)], 1)
    apart = both - both.mean(0)
    wanted = (named.embedding - named.embedding.mean(0)).norm(dim=1).mean()
    return apart * (SIZE * wanted / apart.norm(dim=1).mean())
