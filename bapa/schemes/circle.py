"""Circle-RoPE (arXiv 2505.16416): all patches on a circle around the line the text runs along.

Rule: the authors' code, lose4578/CircleRoPE @063fb2c, code/circle_rope.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from bapa.errors import SchemeError
from bapa.layout import Grid
from bapa.schemes.base import GridScheme, Scheme, is_number, patches
from bapa.schemes.mrope import MRope

Alternate = Literal["even", "first", "last", "all"]


@dataclass(frozen=True)
class Circle(GridScheme):
    """Patches on a circle about ``(b, b, b)``, across the text axis (1, 1, 1): equally far from every text token.

    ``radius``: of the circle, or ``"auto"`` for half the longer side of the grid. ``alpha``: how far the angle follows
    the patch's direction from the centre (1) rather than its place in the raster (0). ``alternate``: which decoder
    layers take the circle, the others take M-RoPE (alternating geometry encoding): ``even`` counts from 0; ``first``
    and ``last`` are halves. The defaults are the released configuration.

    Positions are fractions, and reach 0.82 radius below ``b``; the text resumes one after the largest. Single rows and
    columns have no directions to tell apart: SchemeError.
    """

    name: ClassVar[str] = "circle"
    paper: ClassVar[str] = "Circle-RoPE, arXiv 2505.16416"
    axes: ClassVar[int] = 3

    radius: float | Literal["auto"] = 10
    alpha: float = 0.5
    alternate: Alternate = "even"

    def __post_init__(self) -> None:
        super().__post_init__()
        valid = self.radius == "auto" or (is_number(self.radius) and self.radius > 0)
        self.require("radius", valid, 'a positive number or "auto"')
        self.require("alpha", is_number(self.alpha, 0) and self.alpha <= 1, "a number from 0 to 1")
        self.require("alternate", self.alternate in get_args(Alternate), f"one of {', '.join(get_args(Alternate))}")

    def at_layer(self, layer: int, layers: int) -> Scheme:
        circle = {"even": layer % 2 == 0, "first": layer < layers // 2, "last": layer >= layers // 2, "all": True}
        return self if circle[self.alternate] else MRope(scope=self.scope)

    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        if min(grid.rows, grid.cols) < 2:
            raise SchemeError(f"'circle' needs two rows and two columns of patches; got {grid.rows} x {grid.cols}")
        r, c = patches(grid)
        x, y = c.double() - (grid.cols - 1) / 2, r.double() - (grid.rows - 1) / 2
        direction = torch.atan2(y, x)
        direction = (direction - direction.min()) / (direction.max() - direction.min())
        raster = torch.arange(len(r), dtype=torch.float64, device="cpu") / len(r)
        angle = 2 * math.pi * (self.alpha * direction + (1 - self.alpha) * raster)
        radius = float(max(x.max(), y.max())) if self.radius == "auto" else self.radius
        # Two unit vectors at right angles to (1, 1, 1) and to each other; the paper's axes are width, height, time.
        u = torch.tensor([[-1.0], [1.0], [0.0]], dtype=torch.float64, device="cpu") / math.sqrt(2)
        v = torch.tensor([[-1.0], [-1.0], [2.0]], dtype=torch.float64, device="cpu") / math.sqrt(6)
        return (radius * (angle.cos() * u + angle.sin() * v)).flip(0)
