"""Attention of a few query rows, layer by layer, without ever holding a full map.

Every attention of transformers goes through one table of functions. While a model is watched, the entry in use is
wrapped: it computes what it always does, and then, from the very queries, keys and mask it was given (after rotary
embedding, key sharing and sliding windows), the rows that are wanted. A row costs (heads, keys); they are reduced at
once and forgotten. For saliency, the gradient of what the rows put out is turned into that of their attention by the
product with the values: d attention = d output x values.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from bapa.errors import ModelError
from bapa.families.anatomy import Anatomy, find

# Takes the layer's number, the rows' attention (batch, heads, rows, keys) float32, and, if asked for, its gradient.
Reduce = Callable[[int, Tensor, Tensor | None], None]
_READABLE = ("sdpa", "eager")


def rows_of(
    module: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, rows: Tensor, scaling: float | None, **more: Any
) -> Tensor:
    """Attention of some query rows: float32 (batch, heads, rows, keys).

    ``query``: (batch, heads, queries, width); ``key``: (batch, key heads, keys, width); ``mask``: additive or boolean,
    or None for causal; ``rows``: LongTensor (batch, n). ``more``: ``softcap`` and what else the layer passes.
    """
    batch, heads, queries, width = query.shape
    keys = key.shape[2]
    picked = query.gather(2, rows[:, None, :, None].expand(-1, heads, -1, width))
    shared = picked.unflatten(1, (key.shape[1], -1))  # heads that read the same keys stand together
    scores = torch.einsum("bkgrd,bknd->bkgrn", shared, key).flatten(1, 2).float()
    scores = scores * (width**-0.5 if scaling is None else scaling)
    if (cap := more.get("softcap")) is not None:
        scores = cap * torch.tanh(scores / cap)
    if mask is None:
        if queries > 1 and (getattr(module, "is_causal", True) if more.get("is_causal") is None else more["is_causal"]):
            visible = torch.arange(keys, device=rows.device) <= (rows + keys - queries)[..., None]
            scores = scores.masked_fill(~visible[:, None], -torch.inf)
    else:
        there = mask[..., :keys].expand(batch, -1, -1, -1)
        index = rows[:, None, :, None].expand(-1, there.shape[1], -1, there.shape[-1])
        picked_mask = there.gather(2, index)
        if mask.dtype == torch.bool:
            scores = scores.masked_fill(~picked_mask, torch.finfo(torch.float32).min)
        else:
            scores = scores + picked_mask.float()
    if (sinks := getattr(module, "sinks", None)) is not None:  # a learned place that takes attention and gives nothing
        extra = sinks.float().reshape(1, -1, 1, 1).expand(batch, -1, scores.shape[2], 1)
        return torch.cat([scores, extra], -1).softmax(-1)[..., :-1]
    return scores.softmax(-1)


@contextmanager
def watching(anatomy: Anatomy, rows: Tensor, reduce: Reduce, *, gradient: bool = False) -> Iterator[None]:
    """Inside the ``with`` block, hands each decoder layer's attention of ``rows`` to ``reduce``.

    ``rows``: LongTensor (batch, n), query rows of each forward. ``gradient``: hand it over during the backward pass,
    with its gradient, instead. Raises ModelError for attention that shows neither queries nor keys (flash, flex), and
    where no layer was seen.
    """
    name = anatomy.model.config.get_text_config()._attn_implementation
    if name not in _READABLE:
        raise ModelError(
            f"{name} attention cannot be read row by row; load the model with attn_implementation='sdpa' or 'eager'"
        )
    inside = set(map(id, anatomy.decoder.modules()))
    before = ALL_ATTENTION_FUNCTIONS.get(name)
    seen: list[int] = []

    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
    ) -> Any:
        own = before or sys.modules[type(module).__module__].eager_attention_forward
        output = own(module, query, key, value, attention_mask, **kwargs)
        if id(module) not in inside:
            return output
        layer = getattr(module, "layer_idx", len(seen))
        seen.append(layer)
        scaling = kwargs.pop("scaling", None)
        with torch.no_grad():
            attention = rows_of(module, query, key, attention_mask, rows, scaling, **kwargs)
        if not gradient:
            reduce(layer, attention, None)
        elif output[0].requires_grad:
            held = value.detach()

            def backward(given: Tensor) -> None:
                out = given.gather(1, rows[:, :, None, None].expand(-1, -1, *given.shape[2:]))
                out = out.transpose(1, 2).unflatten(1, (held.shape[1], -1))
                reduce(layer, attention, torch.einsum("bkgrd,bknd->bkgrn", out, held).flatten(1, 2).float())

            output[0].register_hook(backward)
        return output

    ALL_ATTENTION_FUNCTIONS[name] = attend
    try:
        yield
    finally:
        del ALL_ATTENTION_FUNCTIONS[name]
        if before is not None and ALL_ATTENTION_FUNCTIONS.get(name) is not before:
            ALL_ATTENTION_FUNCTIONS[name] = before
    if not seen:
        raise ModelError(f"the attention of {type(anatomy.model).__name__} does not go through transformers' table")


def of_last_token(model: nn.Module, inputs: dict[str, Any]) -> Tensor:
    """What the last token of each row looks at: float32 (rows, columns), mean over heads and layers, from one forward.

    ``inputs``: a forward's arguments. Raises ModelError as :func:`watching` does.
    """
    ids = inputs["input_ids"]
    rows = torch.full((len(ids), 1), ids.shape[1] - 1, device=ids.device)
    layers: list[Tensor] = []

    def keep(layer: int, attention: Tensor, gradient: Tensor | None) -> None:
        layers.append(attention[:, :, 0].mean(1))

    with torch.no_grad(), watching(find(model), rows, keep):
        model(**inputs, use_cache=False)
    return torch.stack(layers).mean(0)
