"""Fitting a probe to a model that is called by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bapa.checkpoints.locate import locate
from bapa.errors import ModelError
from bapa.families.alignment import tokens


def fitted(model: str, design: Mapping[str, Any]) -> dict[str, int]:
    """The options ``patch`` and ``cell`` that make a probe ``design`` (``rows``, ``cols``, ``cell`` as far as chosen)
    fit the model called ``model``; reads its config, and that of its image processor where it needs to.
    """
    from transformers import AutoConfig, AutoImageProcessor

    path = locate(model).path
    config = AutoConfig.from_pretrained(path)
    try:
        found = tokens(config)
    except ModelError as untold:
        try:
            images = AutoImageProcessor.from_pretrained(path)
        except (OSError, ValueError):  # none there, or none that transformers knows
            raise untold from None
        found = tokens(config, images)
    cell = found.cell(design.get("rows", 3), design.get("cols", 3), design.get("cell"))
    return {"patch": found.pixels, **({"cell": cell} if cell else {})}
