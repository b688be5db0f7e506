"""What the tests of the rules share: a worked grid, every scheme with some of its options, a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from bapa import layout
from bapa.layout import Grid, Image
from bapa.schemes import Scheme, names, parse

GRID = Grid(3, 4)
B = 5
VARIANTS = (
    "bapa:distance=native", "bapa:distance=2.5", "calibrated:distance=native,delta=1",
    "calibrated:distance=0.6x,delta=0.25", "calibrated:distance=7.5,about=start", "stride:delta=0.07",
    "stride:delta=1", "stride:delta=3", "concentric:merged=1", "pyramid:interval=4", "circle:radius=auto",
    "circle:alpha=1,alternate=all", "circle:alternate=last,radius=2.5", "shuffle:seed=7", "null:k=-3", "null:k=1000000",
    "concentric:scope=tile", "bapa:pairs=cross,layers=0-3+-2--1,blend=0.25", "calibrated:channels=0-3+wave>4.5x",
    "native:image_attention=soft:0.5,layers=odd", "cmpc:s=3",
)  # fmt: skip
EVERY = [*names(), *VARIANTS]


def whole(grid: Grid) -> Image:
    return Image(torch.arange(grid.rows * grid.cols), grid)


def placed(scheme: Scheme | str, grid: Grid = GRID, b: float = B) -> tuple[Tensor, float]:
    """Positions (axes, patches) and that of the text behind."""
    placement = parse(scheme).place(whole(grid), b)
    return b + placement.offsets, b + float(placement.resume[-1])


def prompt() -> tuple[Tensor, layout.Layout]:
    """Two rows: one with two images that differ in size, one left-padded with one image."""
    drawn = ["..xxxxxxxxxxxx...xxxxxx....", "     ...xxxxxxxxxxxx......."]
    mask = torch.tensor([[c == "x" for c in row] for row in drawn])
    native = torch.tensor([[max(0, i - len(row) + len(row.lstrip())) for i in range(len(row))] for row in drawn])
    return native[None], layout.read(mask, grids=[Grid(3, 4), Grid(2, 3), Grid(3, 4)])
