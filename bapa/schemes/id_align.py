"""ID-Align (thumbnail and tiles of one picture share positions). UNVERIFIED: read from the abstract, no code was seen.

What the abstract says: a high-resolution token inherits the position of the thumbnail token that covers the same area,
so positions do not grow with the tiles. How the authors interpolate, and what row ends get, is our reading.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from bapa.errors import SchemeError
from bapa.layout import Image, View
from bapa.schemes.base import Placement, Scheme, patches
from bapa.schemes.effects import Effects


@dataclass(frozen=True)
class IdAlign(Scheme):
    """Thumbnail in raster order; a tile's token at the position of the thumbnail token under it (unverified reading).

    With ``h x w`` tokens of the thumbnail, token (r, c) of the H x W of all tiles stands at ``b + floor(r h / H) w +
    floor(c w / W)``, text at ``b + h w``. A token that ends a row takes the position of the last in it. A picture
    without tiles is its own thumbnail. Only for models whose inputs tell how the tiles stand.
    """

    name: ClassVar[str] = "id_align"
    paper: ClassVar[str] = "ID-Align, arXiv 2505.21465, unverified; but for tile borders also RoPE-DHR (CoMemo)"

    @property
    def effects(self) -> Effects:
        return replace(super().effects, views=True)

    def place(self, image: Image, b: float = 0) -> Placement:
        views = image.views or ((View(image.grid),) if image.grid else ())
        thumbnail = next((view.grid for view in views if view.whole), None)
        if thumbnail is None:
            raise SchemeError(
                f"{self.name!r} needs to know how thumbnail and tiles stand; it is not known for {len(image)} tokens"
            )
        self.require_all(image)
        offsets = torch.cat([_inherited(view, thumbnail.rows, thumbnail.cols) for view in views])
        if len(image) > len(offsets):
            raise SchemeError(f"{len(image)} image tokens do not fit on {len(offsets)} of thumbnail and tiles")
        return Placement.after_last(offsets[None, : len(image)])


def _inherited(view: View, rows: int, cols: int) -> Tensor:
    """Cell of a rows x cols thumbnail under every token of ``view``: LongTensor (tokens,)."""
    r, c = patches(view.grid)
    r, c = r + view.row * view.grid.rows, c + view.col * view.grid.cols
    cell = r * rows // (view.of.rows * view.grid.rows) * cols + c * cols // (view.of.cols * view.grid.cols)
    cell = cell.view(view.grid.rows, view.grid.cols)
    return (torch.cat([cell, cell[:, -1:]], 1) if view.row_ends else cell).flatten()
