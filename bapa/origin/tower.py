"""What the vision encoder makes of a canvas, layer by layer, and which of its tokens see which cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bapa.errors import ModelError
from bapa.families.anatomy import Anatomy
from bapa.inference.forward import Inputs

Encode = Callable[[Inputs], Any]  # from what the processor made of canvases to the encoder's output
_OWN = 0.8  # a token belongs to a cell if that cell's pixels make this share of all that moves it


def blocks(anatomy: Anatomy) -> list[nn.Module]:
    """The blocks of the vision encoder: the longest list of alike modules outside the text decoder.

    Raises ModelError where there is none.
    """
    inside = set(map(id, anatomy.decoder.modules()))
    lists = [
        list(module)
        for module in anatomy.outer.modules()
        if isinstance(module, nn.ModuleList) and id(module) not in inside and len({type(m) for m in module}) == 1
    ]
    if not lists:
        raise ModelError(f"{type(anatomy.model).__name__} has no vision encoder whose layers could be read")
    return max(lists, key=len)


@contextmanager
def watched(anatomy: Anatomy) -> Iterator[list[Tensor]]:
    """Inside the ``with`` block, collects what enters the first block and leaves each, as the encoder runs once."""
    record: list[Tensor] = []

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        record.append((args[0] if args else kwargs["hidden_states"]).detach())

    def leave(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        record.append((output[0] if isinstance(output, tuple) else output).detach())

    layers = blocks(anatomy)
    handles = [layers[0].register_forward_pre_hook(enter, with_kwargs=True)]
    handles += [layer.register_forward_hook(leave) for layer in layers]
    try:
        yield record
    finally:
        for handle in handles:
            handle.remove()


def layers(anatomy: Anatomy, encode: Encode, inputs: Inputs, canvases: int) -> list[Tensor]:
    """What enters the encoder's first block and leaves each of its blocks, (canvases, tokens, width) each, and last
    the projected features, (canvases, image tokens, width).

    Raises ModelError where the model's encoder does not run on its own.
    """
    with watched(anatomy) as record:
        encoded = encode(inputs)
    output = getattr(encoded, "pooler_output", None)
    if not record or output is None:
        raise ModelError(f"the vision encoder of {type(anatomy.model).__name__} does not run on its own")
    projected = torch.cat(list(output)) if isinstance(output, list | tuple) else output
    return [part.reshape(canvases, -1, part.shape[-1]) for part in (*record, projected)]


def sees(entering: Tensor) -> Tensor:
    """The cell that each token of the encoder's blocks sees, LongTensor (tokens,), -1 for none or several.

    ``entering``: what enters the first block for the canvases of :func:`speckled`, (1 + cells, tokens, width). Patches
    are cut before any token can look at another, so the pixels of one cell, changed alone, move just the tokens of
    that cell there; this holds whatever order the encoder keeps its tokens in.
    """
    moved = (entering[1:] - entering[:1]).float().norm(dim=-1)  # (cells, tokens)
    total = moved.sum(0)
    best, cell = moved.max(0)
    return torch.where((total > 0) & (best >= _OWN * total), cell, -1)


def speckled(rows: int, cols: int, side: int, tall: int = 0) -> list[NDArray[np.uint8]]:
    """A grey canvas of rows x cols cells of ``side`` pixels (``tall`` in height, if they are no squares), then for each
    cell the same with noise in that cell: uint8 (height, width, 3) each.
    """
    tall = tall or side
    noise = np.random.default_rng(0).integers(0, 256, (tall, side, 3), dtype=np.uint8)
    grey = np.full((rows * tall, cols * side, 3), 128, np.uint8)
    canvases = [grey]
    for cell in range(rows * cols):
        row, col = divmod(cell, cols)
        canvas = grey.copy()
        canvas[row * tall : (row + 1) * tall, col * side : (col + 1) * side] = noise
        canvases.append(canvas)
    return canvases


def pooled(states: Tensor, of: Tensor, cells: int) -> Tensor:
    """Mean state of each cell: (canvases, cells, width). ``of``: as of :func:`sees`; NaN for a cell without tokens."""
    member = torch.nn.functional.one_hot(of.clamp(min=0), cells) * (of >= 0)[:, None]
    weights = member.to(states) / member.sum(0)
    return torch.einsum("ntw,tc->ncw", states, weights)
