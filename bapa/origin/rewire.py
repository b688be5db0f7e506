"""Moving what stands at one image token to another, inside a running model.

Two things can be moved apart from each other: the *features* that enter the decoder, and the rotary *positions*. The
order of the tokens, the mask and the text stay as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bapa.attach.rotary import ids_of, with_ids
from bapa.errors import ModelError
from bapa.families.anatomy import Anatomy, find


class _Displacement:
    """The hooks. ``features``, ``positions``: as of :func:`rewired`."""

    def __init__(self, anatomy: Anatomy, features: Tensor | None, positions: Tensor | None) -> None:
        self.anatomy = anatomy
        self.features = features
        self.positions = positions
        self.arguments = list(inspect.signature(anatomy.outer.forward).parameters)
        self.columns: Tensor | None = None  # of the image tokens of the running forward, (rows, tokens)
        self.moved: set[str] = set()

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        call = {**dict(zip(self.arguments, args, strict=False)), **kwargs}
        ids = call.get("input_ids")
        if ids is None:
            raise ModelError(f"{type(module).__name__} got no input_ids, so its image tokens cannot be found")
        mask = torch.isin(ids, self.anatomy.tokens.to(ids.device))
        self.columns = mask.nonzero()[:, 1].view(len(ids), -1) if mask.any() else None

    def embed(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if self.columns is None or self.features is None:
            return None
        embeds = kwargs.get("inputs_embeds")
        if embeds is None:
            raise ModelError(f"{type(module).__name__} merges pictures inside its decoder; features cannot be moved")
        source = self.features.to(embeds.device)
        row = torch.arange(len(embeds), device=embeds.device)[:, None]
        image = embeds[row, self.columns]
        changed = embeds.clone()
        changed[row, self.columns] = image.flatten(0, 1)[source]
        kwargs = {**kwargs, "inputs_embeds": changed}
        if deep := kwargs.get("deepstack_visual_embeds"):  # Qwen3-VL adds more of the encoder's features on the way
            kwargs["deepstack_visual_embeds"] = [part[source.flatten()] for part in deep]
        self.moved.add("features")
        return args, kwargs

    def rotate(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if self.columns is None or self.positions is None:
            return None
        ids = ids_of(args, kwargs)
        rows = len(self.columns)
        changed = ids.expand(*ids.shape[:-2], rows, -1).clone()
        row = torch.arange(rows, device=ids.device)[:, None]
        source = self.columns.gather(1, self.positions.to(self.columns.device))
        changed[..., row, self.columns] = changed[..., row, source]
        self.moved.add("positions")
        return with_ids(args, kwargs, changed)


@contextmanager
def rewired(model: nn.Module, features: Tensor | None = None, positions: Tensor | None = None) -> Iterator[None]:
    """Inside the ``with`` block, image tokens of ``model`` get features or rotary positions of other image tokens.

    Both are LongTensors (rows, tokens), for the n-th image token of each row of the batch: ``features``, the token
    whose features it gets, counted over the whole batch (row * tokens + n); ``positions``, the token of its own row
    whose position it takes. Forwards without image tokens pass untouched.

    Raises ModelError where a forward gave no chance to move what was to be moved, at the end of the block.
    """
    anatomy = find(model)
    displacement = _Displacement(anatomy, features, positions)
    handles = [
        anatomy.outer.register_forward_pre_hook(displacement.enter, with_kwargs=True),
        anatomy.decoder.register_forward_pre_hook(displacement.embed, with_kwargs=True),
        *(rotary.register_forward_pre_hook(displacement.rotate, with_kwargs=True) for rotary in anatomy.rotaries),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    wanted = {n for n, v in (("features", features), ("positions", positions)) if v is not None}
    if missed := wanted - displacement.moved:
        raise ModelError(f"the {' and '.join(sorted(missed))} of {type(anatomy.model).__name__} were not moved")
