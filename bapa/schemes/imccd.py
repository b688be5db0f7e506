"""IMCCD v1: BaPA's positions where text looks at images, mixed into the native scores of the first layers.

Rule: the authors' code, lijm48/IMCCD @0ea1163, transformers/models/llama/modeling_llama.py, ``modi_pos``. It stood
there in January 2025, before BaPA was published. The rest of their method (masking values, contrasting answers) is not
here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from bapa.schemes.bapa import Bapa
from bapa.schemes.part import Pairs


@dataclass(frozen=True)
class Imccd(Bapa):
    """Image at ``b``, text at ``b + 1``, in text-to-image scores of layers 0 to 5 only, 0.2 of it and 0.8 native.

    It is ``bapa:pairs=text-to-image,layers=0-5,blend=0.2``; elsewhere positions stay native.
    """

    name: ClassVar[str] = "imccd"
    paper: ClassVar[str] = "IMCCD, arXiv 2501.01926 v1"

    pairs: Pairs = field(default="text-to-image", kw_only=True)
    layers: str = field(default="0-5", kw_only=True)
    blend: float = field(default=0.2, kw_only=True)
