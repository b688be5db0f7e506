"""The hooks that put a scheme into a running model.

The outer module's hook sees the token ids and lays out the images; the rotary module's hook replaces the positions.
Masks, caches and token order stay native (unless ``image_attention`` asks otherwise): only the rotary embedding sees
other positions.
"""

from __future__ import annotations

import inspect
import threading
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from bapa import layout as layouts
from bapa.attach import attention
from bapa.attach import state as states
from bapa.attach.attention import Looking
from bapa.attach.call import Call
from bapa.attach.layers import LayerHook
from bapa.attach.rotary import Mixer, first_of, ids_of, with_ids
from bapa.attach.state import State
from bapa.errors import ModelError
from bapa.families.anatomy import Anatomy
from bapa.families.pictures import Reader
from bapa.schemes import Scheme, assign


def check(anatomy: Anatomy, scheme: Scheme) -> None:
    """Raise SchemeError where the model cannot express ``scheme``."""
    anatomy.check(scheme)
    if scheme.effects.looks:
        attention.check(anatomy, scheme)


class Attachment:
    """A scheme attached to one model, which :func:`check` has passed."""

    def __init__(self, anatomy: Anatomy, scheme: Scheme) -> None:
        self.scheme = scheme
        self.effects = effects = scheme.effects
        self.reader = Reader(anatomy, scheme)
        self.arguments = list(inspect.signature(anatomy.outer.forward).parameters)
        self.calls: dict[int, Call] = {}  # by thread: one model may serve several
        self.looking = Looking.attach(self, anatomy) if effects.looks else None
        self.trust_ids = False  # take image tokens as images even where no pictures come with them
        fitted = scheme.on_axes(anatomy.axes)
        by_layer = [fitted.at_layer(i, len(anatomy.layers)) for i in range(len(anatomy.layers))] or [fitted]
        self.rules = list(dict.fromkeys(by_layer))
        self.mixer = Mixer(scheme.channels)
        self.handles = [
            anatomy.outer.register_forward_pre_hook(self.enter, with_kwargs=True),
            anatomy.outer.register_forward_hook(self.leave, with_kwargs=True, always_call=True),
            *(rotary.register_forward_pre_hook(self.rotate, with_kwargs=True) for rotary in anatomy.rotaries),
        ]
        self.mixes = len(self.rules) > 1 or scheme.channels > 1
        if self.mixes or self.looking or effects.mask != "native":
            self.handles += [r.register_forward_hook(self.embed, with_kwargs=True) for r in anatomy.rotaries]
        for layer, rule in zip(anatomy.layers, by_layer, strict=False):
            if rule != self.rules[0] or effects.mask != "native":
                hook = LayerHook(self, self.rules.index(rule))
                self.handles.append(layer.register_forward_pre_hook(hook.enter, with_kwargs=True))
        if effects.features:
            self.handles.append(anatomy.decoder.register_forward_pre_hook(self.enrich, with_kwargs=True))

    def running(self) -> Call | None:
        """The forward this thread is in."""
        return self.calls.get(_thread())

    def enrich(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Change the image features on their way into the decoder."""
        call, features = self.running(), self.effects.features
        if call is None or call.layout is None or features is None:
            return None
        if kwargs.get("inputs_embeds") is None:
            raise ModelError(
                f"{type(module).__name__} merges pictures inside its decoder; "
                f"{self.scheme.name!r} cannot reach the features"
            )
        embeds = kwargs["inputs_embeds"].clone()
        number = call.layout.number[:, call.past :].to(embeds.device)
        if features.over == "call":
            embeds[number > 0] = features.change(embeds[number > 0])
        else:
            for row in range(call.rows):
                for k in number[row][number[row] > 0].unique().tolist():
                    image = number[row] == k
                    embeds[row, image] = features.change(embeds[row, image])
        return args, {**kwargs, "inputs_embeds": embeds}

    def detach(self) -> None:
        """Take every hook off again."""
        for handle in self.handles:
            handle.remove()
        if self.looking:
            self.looking.detach()

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Lay out the images of a forward."""
        call = {**dict(zip(self.arguments, args, strict=False)), **kwargs}
        rows, columns = (call["inputs_embeds"] if call.get("input_ids") is None else call["input_ids"]).shape[:2]
        cache = call.get("past_key_values")
        state = states.of(cache)
        if self.looking and torch.compiler.is_compiling():
            raise ModelError(f"{self.scheme} runs without torch.compile; pass disable_compile=True to generate")
        if torch.compiler.is_compiling() and state is not None and columns == 1:
            # A decode step: no branch on the cache's length, so that it stays one graph.
            self.calls[_thread()] = Call(0, state, None, rows, columns)
            return
        past = 0 if cache is None else int(cache.get_seq_length())
        layout = self.reader.read(call, past, self.trust_ids)
        if past == 0:
            state = None
        elif not self.effects.positions and not self.looking:  # its positions go on by themselves
            layout = layouts.text(rows, past).join(layout) if layout is not None else None
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
        mask = call.get("attention_mask")
        if self.looking and isinstance(mask, Tensor) and mask.dim() == 2:
            self.calls[_thread()].begin = mask.to(torch.uint8).argmax(-1)

    def rotate(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Give the rotary embedding the scheme's positions instead of the model's own."""
        call = self.running()
        if call is None:  # the decoder was called on its own, without the module that sees pictures: text only
            return None
        native = ids_of(args, kwargs)
        if call.positions is None:
            call.positions = self._positions(call, native if native.dim() == 3 else native[None])
        return with_ids(args, kwargs, self.mixer.shape(call.positions[0], native, channel=0))

    def embed(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """Compute the rotary embedding of the other channels and rules."""
        call = self.running()
        if call is None or call.positions is None:
            return output
        if call.turns:
            attention.mark(output, call.turns, lambda positions: self.mixer.embed(module, args, kwargs, positions))
        if self.mixes:
            output, *others = (self.mixer.embed(module, args, kwargs, positions) for positions in call.positions)
            call.embeddings.append((output, others))
        if torch.is_grad_enabled():
            setattr(first_of(output), states.SLOT, call)
        return output

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

    def _positions(self, call: Call, native: Tensor) -> list[Tensor]:
        """For each rule what the rotary embedding gets in place of ``native``, a LongTensor (axes, rows or 1, columns).

        Each is a Tensor (axes or 1 or channels, rows or 1, columns), long or float32.
        """
        if self.looking:
            turns, state = attention.turns(call, native.expand(-1, call.rows, -1), self.scheme)
            call.turns = turns if bool(turns.image.any()) else None
            call.next = state if call.state is None or call.layout is not None else None
        if not self.effects.positions:
            return [native + self.scheme.shift]
        if call.state is not None and call.layout is None:
            return [native - offset[:, None] for offset in call.state.offset]
        whole = native.expand(-1, call.rows, -1)
        layout = call.layout or layouts.text(call.rows, call.columns)
        if any(rule.effects.grid for rule in self.rules):
            layout = layout.with_grids(whole.cpu(), call.past)
        if call.state is None:
            found = [assign.balance(whole, layout, rule) for rule in self.rules]
            origin = found[0].raster_end - call.columns
            offset = torch.stack([balanced.native_end - balanced.end for balanced in found])
            positions = [balanced.positions for balanced in found]
        else:
            origin = call.state.origin
            resumed = [assign.resume(origin, call.past, layout, rule) for rule in self.rules]
            offset = torch.stack([assign.native_end(whole) - end for _, end in resumed])
            positions = [found for found, _ in resumed]
        call.next = State(self.scheme, layout, origin, offset)
        if call.layout is None:
            return [native for _ in self.rules]
        return positions


def _thread() -> int:
    return 0 if torch.compiler.is_compiling() else threading.get_ident()
