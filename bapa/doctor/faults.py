"""Ways in which servers have been seen to give image positions wrongly, done to a model in this process.

Only for plain forwards of one prompt: no cache, no padding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bapa.attach.rotary import ids_of, with_ids
from bapa.families.anatomy import find

Change = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Fault:
    """``verdict``: what it makes of the positions. ``says``: what it does. ``change``: from positions, (axes, 1,
    tokens), and the columns of image tokens, LongTensor, to other positions.
    """

    verdict: str
    says: str
    change: Change


def _shared(ids: Tensor, image: Tensor) -> Tensor:
    ids[..., image] = ids[..., image[:1]]
    return ids


def _next_to(ids: Tensor, image: Tensor) -> Tensor:
    behind = torch.arange(ids.shape[-1], device=ids.device) > image[-1]
    gap = ids[..., image[-1] + 1 :].amin() - ids[..., image[0]].amax() - 1 if bool(behind.any()) else 0
    ids[..., behind] -= gap
    return _shared(ids, image)


def _rolled(rows: int) -> Change:
    def change(ids: Tensor, image: Tensor) -> Tensor:
        ids[..., image] = ids[..., image].roll(rows * len(image) // 3, -1)
        return ids

    return change


def _swapped(ids: Tensor, image: Tensor) -> Tensor:
    if len(ids) > 2:
        ids[:, :, image] = ids[[0, 2, 1]][:, :, image]
        return ids
    side = math.isqrt(len(image))
    if side * side == len(image):
        order = torch.arange(len(image), device=ids.device).view(side, side).T.flatten()
        ids[..., image] = ids[..., image[order]]
    return ids


def _counted(ids: Tensor, image: Tensor) -> Tensor:
    return torch.arange(ids.shape[-1], device=ids.device).expand_as(ids).clone()


# One axis has nothing to count anew; there `_counted` is what the model does anyway.
FAULTS = (
    Fault("shared", "all tokens of an image at its first position, the text where it was", _shared),
    Fault("shared", "all tokens of an image at one position, the text right behind", _next_to),
    Fault("ignored", "every token at position 0", lambda ids, image: torch.zeros_like(ids)),
    Fault("ignored", "rows and columns left out, tokens counted one by one", _counted),
    Fault("shifted", "rows moved down by a third of the image", _rolled(-1)),
    Fault("shifted", "rows moved up by a third of the image", _rolled(1)),
    Fault("shifted", "image positions in reverse order", lambda ids, image: _flipped(ids, image)),
    Fault("swapped", "rows and columns exchanged", _swapped),
)


def _flipped(ids: Tensor, image: Tensor) -> Tensor:
    ids[..., image] = ids[..., image.flip(0)]
    return ids


@contextmanager
def broken(model: nn.Module, fault: Fault) -> Iterator[None]:
    """``model`` under ``fault`` in a ``with`` block."""
    anatomy = find(model)
    held: list[Tensor] = []

    def see(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
        held[:] = [torch.isin(ids[0], anatomy.tokens.to(ids.device)).nonzero()[:, 0]]

    def move(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ids = ids_of(args, kwargs)
        if not held or not len(held[0]) or ids.shape[-1] <= int(held[0][-1]):
            return None
        changed = fault.change((ids if ids.dim() == 3 else ids[None]).clone(), held[0])
        return with_ids(args, kwargs, changed if ids.dim() == 3 else changed[0])

    hooks = [anatomy.outer.register_forward_pre_hook(see, with_kwargs=True)]
    hooks += [rotary.register_forward_pre_hook(move, with_kwargs=True) for rotary in anatomy.rotaries]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
