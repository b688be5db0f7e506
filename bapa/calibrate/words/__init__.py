"""A rule fitted to a model on grids of words: how much of a shared position each attention head takes, rotary pair by
rotary pair, so that every cell is read equally well and what stands beside what is still known. No picture is needed,
no weight changes, and a probe of named things lets it go on with pictures::

    found = bapa.calibrate.words.fit(bapa.checkpoints.load("MODEL"), "DIR")
    bapa.from_pretrained("DIR")          # the model, under the fitted rule
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bapa.calibrate.words.runner import Fit, fit

__all__ = ["Fit", "fit"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("bapa.calibrate.words.runner"), name)
