"""PyPE: Pyramid-descent Visual Position Encoding (arXiv 2501.10967): fewer rings the deeper the layer.

Rule: the authors' code, SakuraTroyChen/PyPE @6c73390, LLaVA/llava/pype_utils/pype.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bapa.layout import Grid
from bapa.schemes.base import GridScheme, is_whole
from bapa.schemes.concentric import Concentric
from bapa.schemes.effects import Attention


@dataclass(frozen=True)
class Pyramid(GridScheme):
    """Layer l = 0, 1, .. keeps ``n = max(1, R - floor(l / interval))`` rings: ``b + min(ring, n - 1)``, text ``b + n``.

    ``interval``: layers between two descents. On 24 x 24 patches and 32 layers, 1 reaches one shared position at layer
    11, 2 at layer 22, 4 never; which one the released checkpoints use is not confirmed. Without a layer
    (:meth:`place`) the rule is that of layer 0, which is CCA.
    """

    name: ClassVar[str] = "pyramid"
    paper: ClassVar[str] = "PyPE, arXiv 2501.10967"
    attention: ClassVar[Attention] = "ranked"

    interval: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("interval", is_whole(self.interval, 1), "a whole number of layers from 1 on")

    def at_layer(self, layer: int, layers: int) -> Concentric:
        return Concentric(merged=layer // self.interval, scope=self.scope)

    def offsets(self, grid: Grid, b: float = 0) -> Tensor:
        return self.at_layer(0, 1).offsets(grid, b)
