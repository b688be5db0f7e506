"""What a decoder layer gets under a scheme: the rotary embedding of its own rule, and who sees whom inside an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from bapa.attach.call import Attached, Call
from bapa.attach.rotary import first_of
from bapa.attach.state import SLOT
from bapa.errors import ModelError

# Gemma 3 hands out one a kind of layer under transformers 4.
_EMBEDDINGS = ("position_embeddings", "position_embeddings_global", "position_embeddings_local")


@dataclass
class LayerHook:
    """Changes what one decoder layer is called with. ``variant``: which rotary embedding it takes; ``rank``: the rule
    by which its mask ranks, None where its mask stays.
    """

    attachment: Attached
    variant: int
    rank: int | None

    def enter(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Swap the rotary embedding and the mask of a running call."""
        if args[1:]:  # Gemma 3n hands out the embedding without its name
            names = list(signature(type(module).forward).parameters)[2:]  # behind the module and the hidden states
            args, kwargs = args[:1], {**dict(zip(names, args[1:], strict=False)), **kwargs}
        offered = {name: value for name, value in kwargs.items() if name in _EMBEDDINGS}
        given = {name: value for name, value in offered.items() if value is not None}
        # A layer computed again for its gradients runs after its call has ended.
        rides = next((getattr(first_of(value), SLOT, None) for value in given.values()), None)
        call = self.attachment.running() or rides
        if call is None:
            return None
        changed = dict(kwargs)
        if self.variant and (given or not offered):  # a layer without rotary positions is offered None
            changed |= self._embeddings(call, given)
        if self.rank is not None and call.layout is not None:
            if "attention_mask" not in kwargs:
                raise ModelError(f"{type(module).__name__} takes no attention_mask by name; use image_attention=native")
            keys = _keys(kwargs.get("past_key_values"), call.past + call.columns)
            changed["attention_mask"] = self._mask(call, kwargs["attention_mask"], self.rank, keys)
        return args, changed

    def _embeddings(self, call: Call, given: dict[str, Any]) -> dict[str, Any]:
        """The embeddings of this layer's rule, in place of those of the first rule that the model handed out."""
        own = {
            name: others[self.variant - 1]
            for name, value in given.items()
            for first, others in call.embeddings
            if first() is first_of(value)
        }
        if not own or len(own) < len(given):
            raise ModelError(
                f"{self.attachment.scheme} gives each layer its own positions, but a layer did not get its own"
            )
        return own

    def _mask(self, call: Call, given: Tensor | None, rank: int, keys: int) -> Tensor:
        effects = self.attachment.effects
        rank = rank if effects.mask == "ranked" else 0  # the other masks are the same for all rules
        for before, by, after in call.masks:
            if before is given and by == rank:
                return after
        if call.layout is None or call.positions is None:
            raise ModelError("a decoder layer runs before the rotary embedding; use image_attention=native")
        ranks = call.positions[rank][0].expand(call.rows, -1)
        number = call.layout.number
        held, now = number[:, : call.past], number[:, call.past :]
        if call.cuts:
            raise ModelError("a prompt chunk cuts an image; its tokens cannot see what is not there yet")
        now = now.to(ranks.device)
        if effects.mask == "soft":
            if bool((held > 0).any() and (now > 0).any()):
                raise ModelError(
                    "a further image comes behind a cached one, which cannot see it any more; pass all images at once"
                )
            after = softened(given, now > 0, call.past, effects.sigma, keys)
        else:
            after = within_images(given, now, ranks, call.past, effects.mask, keys)
        del call.masks[: len(call.masks) - 1]  # two kinds of layers take turns; more masks would fill the memory
        call.masks.append((given, rank, after))
        return after


def _keys(cache: Any, columns: int) -> int:
    """How many keys a layer attends to where no mask says so: ``columns``; in a static cache the room behind too."""
    first = next(iter(getattr(cache, "layers", ())), None)
    room = getattr(first, "max_cache_len", 0) if getattr(first, "is_compileable", False) else 0
    return max(columns, room or 0)


def within_images(
    mask: Tensor | None, number: Tensor, rank: Tensor, past: int, attention: str, keys: int | None = None
) -> Tensor:
    """``mask`` with the part inside each image replaced.

    ``mask``: (rows or 1, heads or 1, queries, keys), bool (True: visible) or additive float, or None for plain
    causal. ``number``: LongTensor (rows, queries), 0 on text, k on the k-th image. ``rank``: (rows, queries).
    ``past``: cached keys before the queries' own. ``attention``: ``bidirectional``, all see all, or ``ranked``, own
    and lower ranks are seen. ``keys``: how many there are where ``mask`` is None; by default no more than columns.
    """
    rows, queries = number.shape
    mask = _causal(queries, past, keys, rank.device) if mask is None else mask
    start = min(past, mask.shape[-1] - queries)  # a sliding window may hold fewer keys than are cached
    same = (number[:, :, None] == number[:, None, :]) & (number > 0)[:, :, None]
    visible = same if attention == "bidirectional" else same & (rank[:, None, :] <= rank[:, :, None])
    changed = mask.expand(rows, -1, -1, -1).clone()
    block = changed[..., start : start + queries]
    if mask.dtype == torch.bool:
        new = torch.where(same[:, None], visible[:, None], block)
    else:
        hidden = torch.finfo(mask.dtype).min
        new = torch.where(same[:, None], torch.where(visible[:, None], 0.0, hidden).to(mask.dtype), block)
    changed[..., start : start + queries] = new
    return changed


def softened(mask: Tensor | None, image: Tensor, past: int, sigma: float, keys: int | None = None) -> Tensor:
    """``mask`` as numbers, where image tokens see later ones too, with log(sigma) added to their scores (SoFA).

    ``mask``, ``past`` and ``keys`` as for :func:`within_images`; a later token is seen where it sees the earlier one
    itself. ``image``: BoolTensor (rows, queries).
    """
    rows, queries = image.shape
    mask = _causal(queries, past, keys, image.device) if mask is None else mask
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, torch.finfo(torch.float32).min)
    start = min(past, mask.shape[-1] - queries)
    changed = mask.expand(rows, -1, -1, -1).clone()
    block = changed[..., start : start + queries]
    later = torch.ones(queries, queries, dtype=torch.bool, device=image.device).triu(1)
    open_to = (image[:, :, None] & image[:, None, :] & later)[:, None] & (block.mT > torch.finfo(mask.dtype).min / 2)
    changed[..., start : start + queries] = torch.where(open_to, math.log(sigma), block).to(mask.dtype)
    return changed


def _causal(queries: int, past: int, keys: int | None, device: torch.device) -> Tensor:
    """The plain causal mask, bool (1, 1, queries, keys); what lies behind the last query is not seen."""
    return torch.ones(queries, keys or past + queries, dtype=torch.bool, device=device).tril(past)[None, None]
