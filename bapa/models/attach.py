"""The hooks that put a scheme into a running model.

The outer module's hook sees the token ids and lays out the images; the rotary module's hook replaces the positions.
Masks, caches and token order stay native: only the rotary embedding sees other positions.
"""

from __future__ import annotations

import inspect
import threading
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from bapa import layout as layouts
from bapa.errors import ModelError
from bapa.layout import Layout
from bapa.models import state as states
from bapa.models.anatomy import Anatomy
from bapa.models.state import State
from bapa.schemes import Scheme, assign


@dataclass
class Call:
    """One forward on its way from the outer module to the rotary embedding and back.

    A call continues a cache (``past`` columns, ``state``) or starts at column 0; ``layout`` covers all columns
    including the cached ones, or is None where no image comes in. ``result`` and ``next`` are filled when the rotary
    embedding is reached.
    """

    past: int
    state: State | None
    layout: Layout | None
    rows: int
    columns: int
    result: Tensor | None = None
    next: State | None = None


class Attachment:
    """A scheme attached to one model."""

    def __init__(self, anatomy: Anatomy, scheme: Scheme) -> None:
        self.scheme = scheme
        self.tokens = anatomy.tokens
        self.pictures = anatomy.pictures
        self.arguments = list(inspect.signature(anatomy.outer.forward).parameters)
        self.embedding = anatomy.model.get_input_embeddings  # a bound method, so that a copied model brings its own
        self.calls: dict[int, Call] = {}  # by thread: one model may serve several
        self.trust_ids = False  # take image tokens as images even where no pictures come with them
        self.handles = [
            anatomy.outer.register_forward_pre_hook(self.enter, with_kwargs=True),
            anatomy.outer.register_forward_hook(self.leave, with_kwargs=True, always_call=True),
            *(rotary.register_forward_pre_hook(self.rotate, with_kwargs=True) for rotary in anatomy.rotaries),
        ]

    def detach(self) -> None:
        """Take every hook off again."""
        for handle in self.handles:
            handle.remove()

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Lay out the images of a forward."""
        call = {**dict(zip(self.arguments, args, strict=False)), **kwargs}
        rows, columns = (call["inputs_embeds"] if call.get("input_ids") is None else call["input_ids"]).shape[:2]
        cache = call.get("past_key_values")
        state = states.of(cache)
        if torch.compiler.is_compiling() and state is not None and columns == 1:
            # A decode step: no branch on the cache's length, so that it stays one graph.
            self.calls[_thread()] = Call(0, state, None, rows, columns)
            return
        past = 0 if cache is None else int(cache.get_seq_length())
        layout = self._layout(call, past)
        if past == 0:
            state = None
        elif state is None:
            raise ModelError("the cache was filled before the model was balanced; start with a fresh cache")
        elif state.scheme != self.scheme:
            raise ModelError(
                f"the cache was filled under {state.scheme}, the model runs under {self.scheme}; start afresh"
            )
        else:
            state = state.rows(rows)
            known = state.layout.columns
            if layout is not None or past < known:  # a further image, or a cache cropped back: count from the columns
                held = state.layout.crop(past).join(layouts.text(rows, max(0, past - known)))
                layout = held.join(layout or layouts.text(rows, columns))
        self.calls[_thread()] = Call(past, state, layout, rows, columns)

    def rotate(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Give the rotary embedding the scheme's positions instead of the model's own."""
        call = self.calls.get(_thread())
        if call is None:  # the decoder was called on its own, without the module that sees pictures: text only
            return None
        native = kwargs["position_ids"] if "position_ids" in kwargs else args[1]
        positions = self.positions(call, native)
        if "position_ids" in kwargs:
            return args, {**kwargs, "position_ids": positions}
        return (args[0], positions, *args[2:]), kwargs

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Hand the state to the cache; forget the call, also after an exception."""
        call = self.calls.pop(_thread(), None)
        if call is None or call.next is None or output is None:
            return
        cache = getattr(output, "past_key_values", None)
        if cache is None and isinstance(output, tuple):
            cache = next((part for part in output if isinstance(part, Cache)), None)
        if cache is not None:
            states.keep(cache, call.next)

    def positions(self, call: Call, native: Tensor) -> Tensor:
        """What the rotary embedding gets in place of ``native``: LongTensor or float32, [rows or 1, columns] or
        [axes, rows or 1, columns].
        """
        if call.state is not None and call.layout is None:
            return native - call.state.offset[:, None]
        if call.result is None:
            axes = native[None] if native.dim() == 2 else native
            axes = axes.expand(-1, call.rows, -1)
            call.result = self._resume(call, axes) if call.state is not None else self._start(call, axes)
        result = call.result
        if call.layout is None:  # no image: as the model made them
            return native
        return result[0] if native.dim() == 2 else result

    def _start(self, call: Call, native: Tensor) -> Tensor:
        layout = call.layout or layouts.text(call.rows, call.columns)
        moves = assign.carry(layout, self.scheme).to(native.device)
        moved = assign.balance(native, moves)
        call.next = State(self.scheme, layout, moved.raster_end - call.columns, moved.native_end - moved.end)
        return moved.positions

    def _resume(self, call: Call, native: Tensor) -> Tensor:
        if call.layout is None or call.state is None:
            raise ModelError("nothing to resume: the call brings neither a layout nor a state")
        moves = assign.carry(call.layout, self.scheme).to(native.device)
        columns = torch.arange(call.past, call.past + call.columns, device=native.device)
        positions = call.state.origin[:, None] + columns - moves.last(call.columns).tokens
        end = call.state.origin + call.past + call.columns - moves.shift[:, -1]
        call.next = State(self.scheme, call.layout, call.state.origin, assign.native_end(native) - end)
        return positions.expand(len(native), -1, -1) if len(positions) < len(native) else positions

    def _layout(self, call: dict[str, Any], past: int) -> Layout | None:
        """The images this call brings in; None where it brings none, whatever its ids (a model may sample an image token)."""
        brings = any(_given(call.get(name)) for name in self.pictures)
        if call.get("input_ids") is not None:
            ids = call["input_ids"]
            return layouts.read(torch.isin(ids, self.tokens.to(ids.device))) if brings or self.trust_ids else None
        if brings:
            return layouts.read(self._embedded(call["inputs_embeds"]))
        if past:
            return None
        if (types := call.get("mm_token_type_ids")) is None:
            raise ModelError(
                "inputs_embeds without input_ids or pictures hide where the images stand; "
                "pass input_ids, or mm_token_type_ids (1 on image tokens, 0 on text)"
            )
        return layouts.read(types > 0)

    def _embedded(self, embeds: Tensor) -> Tensor:
        """Image tokens of a call that brings embeddings instead of ids: those that equal the placeholder's, as
        transformers itself does.
        """
        placeholders = self.embedding()(self.tokens.to(embeds.device)).to(embeds.dtype)
        return (embeds[..., None, :] == placeholders).all(-1).any(-1)


def _given(value: Any) -> bool:
    if isinstance(value, dict):
        return any(part is not None for part in value.values())
    return value is not None


def _thread() -> int:
    return 0 if torch.compiler.is_compiling() else threading.get_ident()
