"""Calibrated balance: how far the text should stand from the image, picked on a few items, without training::

found = bapa.calibrate.calibrate(bapa.checkpoints.load("reference:top"), probe, "DIR")
found.chosen                         # "calibrated:distance=1.6x"
bapa.from_pretrained("DIR")          # the model, under the chosen rule
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bapa.calibrate.runner import Calibration, calibrate, load_calibration

__all__ = ["Calibration", "calibrate", "load_calibration"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("bapa.calibrate.runner"), name)
