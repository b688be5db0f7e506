"""A scheme of one's own: all patches of a row share a position, and rows count on."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bapa.layout import Grid
from bapa.schemes import register
from bapa.schemes.base import GridScheme, patches


@register
@dataclass(frozen=True)
class Rows(GridScheme):
    """Patch (r, c) at ``b + r``; the text resumes at ``b + H``."""

    name: ClassVar[str] = "rows"
    paper: ClassVar[str] = "an example"

    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        row, _ = patches(grid)
        return row[None]
