"""How far the text stands from each patch under a scheme, before any model is run.

A property of the positions alone: it knows nothing of frequencies or content.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bapa.layout import Grid, Image
from bapa.schemes.base import Scheme


@dataclass(frozen=True)
class Profile:
    """Distance of every patch to the first text token behind the image, in positions.

    ``distances``: float64 Tensor (rows, cols). With several axes or channel sets it is the root mean square over them,
    so that a position shared by all axes measures as it does on one.
    """

    distances: Tensor

    @property
    def mean(self) -> float:
        return float(self.distances.mean())

    @property
    def sd(self) -> float:
        """Standard deviation over the patches, all of which are known: divided by their number."""
        return float(self.distances.std(correction=0))

    @property
    def max(self) -> float:
        return float(self.distances.max())


def profile(scheme: Scheme, grid: Grid, b: float = 0) -> Profile:
    """The relative-distance profile of ``scheme`` on ``grid``; see :func:`ptd` for ``b`` and for rules per layer."""
    offsets, resume = _placed(scheme, grid, b)
    return Profile((resume - offsets).square().mean(0).sqrt().view(grid.rows, grid.cols))


def ptd(scheme: Scheme, grid: Grid, text: int = 8, axes: int = 3, b: float = 0) -> float:
    """Per-token distance (Circle-RoPE, arXiv 2505.16416): how unequally far the patches stand from a text token.

    The mean over text tokens t and patches i of ``|d(t, i) - mean_i d(t, i)|``, d the Euclidean distance of their
    positions. 0: every text token sees all patches at one distance.

    ``text``: tokens behind the image. ``axes``: how many axes a 1-axis rule is copied to, as an M-RoPE model would;
    other rules keep their own axes or channel sets. ``b``: position of the first image token, which only ``absolute``
    schemes read. A scheme with rules of its own per layer is measured by ``scheme.at_layer(layer, layers)``.
    """
    offsets, resume = _placed(scheme, grid, b)
    if len(offsets) == 1:
        offsets = offsets.expand(axes, -1)
    tokens = resume + torch.arange(text, dtype=torch.long, device="cpu")
    distances = (tokens[:, None, None] - offsets).square().sum(1).sqrt()  # (text, patches)
    return float((distances - distances.mean(1, keepdim=True)).abs().mean())


def _placed(scheme: Scheme, grid: Grid, b: float) -> tuple[Tensor, Tensor]:
    """Offsets of the patches, (axes, patches), and of the first text token, both float64."""
    placement = scheme.place(Image(torch.arange(grid.rows * grid.cols, dtype=torch.long, device="cpu"), grid), b)
    return placement.offsets.double(), placement.resume[-1].double()
