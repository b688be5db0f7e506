"""Calling a rotary module with positions of our own, one position set for all channels or several dealt over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


def ids_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """The position ids that a rotary module is called with: (rows or 1, columns) or (axes, rows or 1, columns)."""
    return kwargs["position_ids"] if "position_ids" in kwargs else args[1]


def with_ids(args: tuple[Any, ...], kwargs: Mapping[str, Any], ids: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same call with other position ids."""
    if "position_ids" in kwargs:
        return args, {**kwargs, "position_ids": ids}
    return (args[0], ids, *args[2:]), dict(kwargs)


@dataclass(frozen=True)
class Mixer:
    """Rotary embedding from ``channels`` position sets: rotary pair j turns by set j mod ``channels`` (VRoPE, section
    3).
    """

    channels: int = 1

    def shape(self, positions: Tensor, native: Tensor, channel: int) -> Tensor:
        """The position set of one channel in the shape of the model's own ids.

        ``positions``: (axes or 1 or channels, rows, columns); ``native``: (rows or 1, columns) or (axes, rows or 1,
        columns).
        """
        chosen = positions if self.channels == 1 else positions[channel % len(positions)][None]
        return chosen[0] if native.dim() == 2 else chosen.expand(len(native), -1, -1)

    def embed(self, rotary: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], positions: Tensor) -> Any:
        """What ``rotary`` gives for ``positions``: cosine and sine (rows, columns, dim), or one complex tensor."""
        native = ids_of(args, kwargs)
        outputs = []
        for channel in range(self.channels):
            placed, named = with_ids(args, kwargs, self.shape(positions, native, channel))
            outputs.append(rotary.forward(*placed, **named))
        if self.channels == 1:
            return outputs[0]
        if isinstance(outputs[0], Tensor):
            return self._deal(outputs, torch.arange(outputs[0].shape[-1], dtype=torch.long, device="cpu"))
        pair = _pairs(outputs[0][0])
        return tuple(self._deal(list(part), pair) for part in zip(*outputs, strict=True))

    def _deal(self, outputs: list[Tensor], pair: Tensor) -> Tensor:
        stacked = torch.stack(outputs, -1)
        choice = (pair % self.channels).to(stacked.device).expand(stacked.shape[:-1])
        return stacked.gather(-1, choice[..., None]).squeeze(-1)


def _pairs(cosine: Tensor) -> Tensor:
    """Rotary pair of every channel: both members of a pair turn by one angle, laid out in halves or side by side."""
    width = cosine.shape[-1]
    channel = torch.arange(width, dtype=torch.long, device="cpu")
    return channel % (width // 2) if halved(cosine) else channel // 2


def first_of(embedding: Any) -> Tensor:
    """The cosine, or the one complex tensor, of what a rotary module gives; what a layer must know rides on it."""
    return embedding if isinstance(embedding, Tensor) else embedding[0]


def halved(*parts: Tensor) -> bool:
    """Whether the channels of a rotary embedding are laid out in halves, not pair by pair."""
    return all(torch.equal(part[..., : part.shape[-1] // 2], part[..., part.shape[-1] // 2 :]) for part in parts)
