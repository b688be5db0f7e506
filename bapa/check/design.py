"""A probe that fits a model: cells of whole image tokens, and wordings that its tokenizer knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bapa.checkpoints import Loaded
from bapa.errors import ModelError
from bapa.families.alignment import tokens
from bapa.probe import Design

WORDINGS = (
    "Does any of the sub-images in this image match the following text?\nText: {caption}\nAnswer yes or no.",
    "Look at all parts of the picture. Is this shown in one of them: {caption}? Answer yes or no.",
    "Is there {caption} somewhere in this picture? Answer yes or no.",
)
CELL_PX = 168  # side of a cell, at least, for models that take pictures of any size


def shaped(model: Loaded, options: Mapping[str, Any]) -> Design:
    """The design for ``model``: aligned with its image tokens where its config tells them."""
    given: dict[str, Any] = dict(options)
    try:
        found = tokens(model.model.config, getattr(model.processor, "image_processor", None))
    except ModelError:  # the geometry is then said to be unknown where the run is measured
        return Design(**given, **_asked(model, given["task"]))
    given["patch"] = found.pixels
    given["cell"] = found.cell(3, 3, None) or found.pixels * -(-CELL_PX // found.pixels)
    return Design(**given, **_asked(model, given["task"]))


def alike(design: Design, task: str, items: int, seed: int) -> Design:
    """A design of the same canvases for another task."""
    kept = design.model_dump(include={"rows", "cols", "cell", "background", "patch", "order"})
    return Design(**kept, task=task, items=items, seed=seed)


def _asked(model: Loaded, task: str) -> dict[str, Any]:
    """By yes and no, several wordings where the tokenizer knows all their words, else the one that suits the source.
    Names are asked for without near misses, which a model that names what it sees may well confuse.
    """
    if task == "name":
        return {"near_miss": False}
    tokenizer = model.processor.tokenizer
    unknown = getattr(tokenizer, "unk_token_id", None)
    ids = [number for text in WORDINGS for number in tokenizer(text.format(caption="a"))["input_ids"]]
    return {} if unknown is not None and unknown in ids else {"prompts": WORDINGS}
