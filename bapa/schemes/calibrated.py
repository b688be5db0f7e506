"""Calibrated balance: how far the text stands from the image, and how much of the image's own order is kept.

Our own family. BaPA fixes both numbers (arXiv 2509.21984: 1 and 0); ``bapa calibrate`` picks them for a model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from bapa.errors import SchemeError
from bapa.layout import Image
from bapa.schemes.base import Placement, Scheme, is_number
from bapa.schemes.mrope import MRope

_MULTIPLE = re.compile(r"(\d+\.?\d*|\.\d+)x")


@dataclass(frozen=True)
class Calibrated(Scheme):
    """Image positions compressed by ``delta``, the text ``distance`` behind their middle.

    A token that stands at ``b + i`` natively goes to ``b + delta i``: 1 keeps the native order, 0 shares one position.
    ``distance`` is counted from the middle of the image's positions, or from the first with ``about="start"``: a number
    of positions, or a multiple of the native distance (``"0.6x"``; ``"native"`` is ``"1x"``), which serves images of
    any size. With N tokens in raster order the native distance is (N + 1) / 2 from the middle and N from the start.

    On M-RoPE models rows and columns are compressed, each on its axis, and N is max(H, W). Points of the family: the
    default is BaPA; ``distance=native,delta=1`` is native; ``distance=native,about=start`` is ``bapa:distance=native``.
    V2PE's stride is ``about=start`` with ``distance = ceil(delta N) + 1 - delta``, save that everything from the image
    on stands ``1 - delta`` nearer to the text before it.
    """

    name: ClassVar[str] = "calibrated"
    paper: ClassVar[str] = "this project; its default is arXiv 2509.21984"

    distance: float | str = 1
    delta: float = 0
    about: Literal["middle", "start"] = "middle"

    def __post_init__(self) -> None:
        super().__post_init__()
        valid = self.multiple is not None or (is_number(self.distance) and float(self.distance) > 0)
        self.require("distance", valid, 'a positive number, a multiple of the native distance ("0.6x") or "native"')
        self.require("delta", is_number(self.delta, 0) and self.delta <= 1, "a number from 0 (shared) to 1 (native)")
        self.require("about", self.about in ("middle", "start"), "middle or start")

    @property
    def multiple(self) -> float | None:
        """``distance`` in native distances; None where it is a number of positions."""
        if self.distance == "native":
            return 1.0
        found = _MULTIPLE.fullmatch(str(self.distance))
        return float(found[1]) or None if found else None

    def place(self, image: Image, b: float = 0) -> Placement:
        # Natively an image token counts the tags before it too.
        counted = torch.arange(1, len(image) + 1, dtype=torch.long, device="cpu")
        return self.compress(Placement((image.columns - image.columns[0])[None], counted))

    def on_axes(self, axes: int) -> Scheme:
        if axes == 1 or (self.delta == 0 and self.multiple is None):  # nothing then depends on the grid
            return self
        return _Compressed(self, scope=self.scope, image_attention=self.image_attention)

    def compress(self, native: Placement) -> Placement:
        """``native`` under this rule; raises SchemeError where the text would stand inside the image.

        After each token the text stands where it would if the image ended there, so tags inside an image and prompts
        fed in chunks come out right.
        """
        length = native.resume.double()
        middle = (length - 1) / 2 if self.about == "middle" else torch.zeros_like(length)
        distance = float(self.distance) if self.multiple is None else self.multiple * (length - middle)
        offsets, resume = self.delta * native.offsets.double(), self.delta * middle + distance
        tags = (native.offsets.max() + 1 - native.resume[-1]).clamp(min=0)  # inside the image; the text counts them too
        if bool(resume[-1] + tags <= offsets.max()):
            raise SchemeError(
                f"{self}: the text would stand inside an image of {len(resume)} tokens; "
                f"use a larger distance, a multiple of the native one (distance=0.6x), or a smaller delta"
            )
        return Placement(offsets, resume)


@dataclass(frozen=True)
class _Compressed(MRope):
    """The rule of ``by`` on the three axes of an M-RoPE model."""

    name: ClassVar[str] = Calibrated.name

    by: Calibrated = Calibrated()

    def place(self, image: Image, b: float = 0) -> Placement:
        return self.by.compress(super().place(image))
