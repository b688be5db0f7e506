"""What is known of a prompt beyond the tokens of one forward: what of it is padding, and in generation all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bapa.attach import state as states
from bapa.families.pictures import Reader
from bapa.layout import Layout, text


@dataclass(frozen=True)
class Prompt:
    """A whole prompt on its way into :meth:`generate`, which may feed it in chunks.

    ``tokens``: its ids (rows, columns) or embeddings (rows, columns, channels), the ``past`` cached columns left out.
    ``layout``: of all columns, cached ones included; ``padding``: BoolTensor of its shape, or None.
    """

    tokens: Tensor
    past: int
    layout: Layout
    padding: Tensor | None

    def part(self, call: Mapping[str, Any], past: int) -> Prompt | None:
        """The prompt in the rows of ``call``, where this brings its columns from ``past`` on; else None. Without a
        cache a call brings all of it again, and behind it what has been written since: text.
        """
        given = call.get("input_ids") if self.tokens.dim() == 2 else call.get("inputs_embeds")
        first = past - self.past
        if given is None or first < 0 or len(given) % len(self.tokens):
            return None
        written = max(0, first + given.shape[1] - self.tokens.shape[1])
        if written and (past or self.tokens.dim() == 3):
            return None
        times = len(given) // len(self.tokens)
        own = self.tokens[:, first : first + given.shape[1]].repeat_interleave(times, 0)
        if not torch.equal(own.to(given.device), given[:, : own.shape[1]]):
            return None
        if times == 1 and not written:
            return self
        padding = None if self.padding is None else self.padding.repeat_interleave(times, 0)
        layout = self.layout.repeat(times)
        return Prompt(self.tokens, self.past, layout.join(text(layout.rows, written)), padding)


def announced(reader: Reader, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Prompt | None:
    """The prompt that a call of ``generate`` brings, where it brings pictures."""
    call = {name: value for name, value in kwargs.items() if value is not None}
    if (ids := args[0] if args else call.pop("inputs", None)) is not None:
        call.setdefault("input_ids", ids)
    tokens = call.get("inputs_embeds", call.get("input_ids"))
    if not isinstance(tokens, Tensor) or not reader.brings(call):
        return None
    if "inputs_embeds" in call:
        call.pop("input_ids", None)
    cache, mask = call.get("past_key_values"), call.get("attention_mask")
    past, held = 0 if cache is None else int(cache.get_seq_length()), None
    if past:
        state = states.of(cache)
        if state is None or state.offset.shape[1] != len(tokens):
            return None
        if not isinstance(mask, Tensor) or mask.shape[1] == tokens.shape[1]:  # the cached tokens stand in front
            tokens = tokens[:, past:]
        call["inputs_embeds" if tokens.dim() == 3 else "input_ids"] = tokens
        held = state.settled().held(past)
    layout = reader.read(call, past, held=held)
    if layout is None:
        return None
    return Prompt(tokens, past, layout, padded(mask, len(tokens), past, tokens.shape[1]))


def padded(mask: Any, rows: int, past: int, columns: int) -> Tensor | None:
    """What an attention mask hides: BoolTensor (rows, past + columns) on the CPU; None where that is nothing.

    ``mask``: (rows, columns), or as generation makes it for static caches: (rows, heads, queries, keys), bool or
    additive, or several of these by name. A token that does not see itself is padding.
    """
    if isinstance(mask, Mapping):
        mask = next((part for part in (mask.get("full_attention"), *mask.values()) if part is not None), None)
    if not isinstance(mask, Tensor):
        return None
    if mask.dim() == 2:
        shown = mask
    elif mask.dim() == 4 and mask.shape[-2] == columns and mask.shape[-1] >= past + columns:
        itself = mask[:, 0, :, past : past + columns].diagonal(dim1=-2, dim2=-1)
        shown = itself if itself.dtype == torch.bool else itself > torch.finfo(itself.dtype).min / 2
    else:
        return None
    shown = shown[:, : past + columns]
    if bool(shown.all()):
        return None
    hidden = torch.zeros(rows, past + columns, dtype=torch.bool, device="cpu")
    hidden[:, past + columns - shown.shape[1] :] = ~shown.cpu().bool()
    return hidden


def covered(layout: Layout, held: Layout | None, known: int, padding: Tensor | None) -> Tensor | None:
    """Padding of all columns of ``layout``: of the first ``known`` as ``held`` has it, from when they were fed; of the
    others as ``padding`` says, BoolTensor (rows, columns, fewer or more).
    """
    whole = torch.zeros_like(layout.number, dtype=torch.bool)
    if padding is not None:
        columns = min(layout.columns, padding.shape[1])
        whole[:, :columns] = padding[:, :columns]
    if held is not None:
        whole[:, :known] = False if held.padding is None else held.padding[:, :known]
    return whole if bool(whole.any()) else None
