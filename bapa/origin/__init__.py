"""Where the bias comes from: the encoder, the order of the tokens, or the positions the language model gives them::

origin = bapa.origin.explain(bapa.checkpoints.load("reference"), probe, "RUN")
print(origin.verdict["sentence"])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bapa.origin.options import Options
    from bapa.origin.runner import Origin, explain, load_origin

__all__ = ["Options", "Origin", "explain", "load_origin"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("bapa.origin.options" if name == "Options" else "bapa.origin.runner"), name)
