"""Measures, explains and reduces spatial bias in large vision-language models.

The same picture content gets another answer when it stands elsewhere in the image. The remedy is Balanced Position
Assignment (arXiv 2509.21984): in the language model, all tokens of one image share one rotary position.

>>> import bapa
>>> model = bapa.from_pretrained("llava-hf/llava-1.5-7b-hf")  # doctest: +SKIP
>>> bapa.balance(model)                                       # doctest: +SKIP

Names are imported when they are first used, so ``import bapa`` stays fast and needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from bapa.attach import balance, balanced, positions, restore, scheme_of
    from bapa.checkpoints import from_pretrained

_HOME = {
    **dict.fromkeys(("balance", "balanced", "positions", "restore", "scheme_of"), "bapa.attach"),
    "from_pretrained": "bapa.checkpoints",
}

__all__ = ["__version__", "balance", "balanced", "from_pretrained", "positions", "restore", "scheme_of"]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'bapa' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
