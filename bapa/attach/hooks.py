"""The hooks that put a scheme into a running model.

The outer module's hook sees the token ids and lays out the images; the rotary module's hook replaces the positions.
Masks, caches and token order stay native (unless ``image_attention`` asks otherwise): only the rotary embedding sees
other positions.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from weakref import ref

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.jit import is_tracing  # type: ignore[attr-defined]

from bapa import layout as layouts
from bapa.attach import attention, looks
from bapa.attach import state as states
from bapa.attach.attention import Looking
from bapa.attach.call import Call
from bapa.attach.check import attends
from bapa.attach.layers import LayerHook
from bapa.attach.methods import Batching, Instead
from bapa.attach.plan import Plan
from bapa.attach.prompt import announced, covered, padded
from bapa.attach.rotary import Mixer, Rotary, first_of, ids_of, sections, shaped, with_ids
from bapa.attach.state import State, Tie
from bapa.errors import ModelError
from bapa.families.anatomy import Anatomy
from bapa.families.pictures import Reader
from bapa.layout import Layout
from bapa.schemes import Scheme, assign

GRAPH = "where its images stand cannot be part of a graph"


class Attachment:
    """A scheme attached to one model, which :func:`bapa.attach.check.check` has passed."""

    def __init__(self, anatomy: Anatomy, scheme: Scheme, tie: Tie | None = None) -> None:
        self.scheme = scheme
        self.effects = effects = scheme.effects
        self.reader = Reader(anatomy, scheme)
        self.arguments = list(inspect.signature(anatomy.outer.forward).parameters)
        self.model, self.outer, self.axes = anatomy.model, anatomy.outer, anatomy.axes
        self.tie = tie or Tie(scheme)
        self.thread = threading.local()  # one model may serve several: the call and the prompt of each
        self.plan = plan = Plan.of(scheme, anatomy.axes, len(anatomy.layers))
        self.looking = Looking.attach(self, anatomy) if effects.attends else None
        self.mixer = Mixer(scheme.sets, effects.part.channels, sections(anatomy.model.config))
        self.handles = [
            anatomy.outer.register_forward_pre_hook(self.enter, with_kwargs=True),
            anatomy.outer.register_forward_hook(self.leave, with_kwargs=True, always_call=True),
            *(rotary.register_forward_pre_hook(self.rotate, with_kwargs=True) for rotary in anatomy.rotaries),
        ]
        self.turns = effects.rotary or not plan.rules  # whether the rotary embedding gets the scheme's positions
        self.mixes = effects.rotary and (plan.variants != (0,) or scheme.sets > 1 or not plan.whole)
        if self.mixes or self.looking or effects.mask != "native":
            self.handles += [r.register_forward_hook(self.embed, with_kwargs=True) for r in anatomy.rotaries]
        of_layers = zip(anatomy.layers, plan.rotary, plan.scored, attends(anatomy), strict=False)
        for layer, variant, rank, masked in of_layers:
            hook = LayerHook(self, variant, rank if masked and effects.mask != "native" else None)
            if hook.variant or hook.rank is not None:
                self.handles.append(layer.register_forward_pre_hook(hook.enter, with_kwargs=True))
        if anatomy.decoder is not anatomy.outer:
            self.handles.append(anatomy.decoder.register_forward_pre_hook(self.alone, with_kwargs=True))
        self.instead = Instead(self.model, generate=self.generate)
        self.batching = Batching(self.model, self.tie, self.reader)
        if effects.features:
            self.handles.append(anatomy.decoder.register_forward_pre_hook(self.enrich, with_kwargs=True))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "thread": None}  # what runs does not run in a copy

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, thread=threading.local())

    def running(self) -> Call | None:
        """The forward this thread is in."""
        return getattr(self.thread, "call", None)

    @contextmanager
    def trusting_ids(self) -> Iterator[None]:
        """Take image tokens of this thread as images even where no pictures come with them."""
        self.thread.trusts = True
        try:
            yield
        finally:
            self.thread.trusts = False

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own method; first the whole prompt is read, which may be fed in chunks."""
        before = getattr(self.thread, "prompt", None)
        self.thread.prompt = announced(self.reader, args, kwargs)
        try:
            return self.instead.own["generate"](*args, **kwargs)
        finally:
            self.thread.prompt = before

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
        if call.cuts:
            raise ModelError("a prompt chunk cuts an image, whose mean is not known yet; feed the image at once")
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
        """Take every hook off again. Caches that were filled cannot be gone on with."""
        self.tie.attached = False
        self.instead.undo()
        self.batching.instead.undo()
        for handle in self.handles:
            handle.remove()
        if self.looking:
            self.looking.detach()

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Lay out the images of a forward."""
        call = {**dict(zip(self.arguments, args, strict=False)), **kwargs} if args else kwargs
        rows, columns = (call["inputs_embeds"] if call.get("input_ids") is None else call["input_ids"]).shape[:2]
        state = states.of(call.get("past_key_values"))
        if torch.compiler.is_compiling():
            if self.looking:
                raise ModelError(f"{self.scheme} runs without torch.compile; pass disable_compile=True to generate")
            if state is not None and columns == 1:
                # A decode step: no branch on the cache's length, so that it stays one graph.
                state.require(self.scheme)
                self.thread.call = Call(0, state, None, rows, columns)
                return
        elif state is not None and columns == 1 and (past := self._text_behind(call, state, rows)):
            self.thread.call = Call(past, state, None, rows, columns)
            return
        self._lay_out(call, state, rows, columns)

    def _text_behind(self, call: dict[str, Any], state: State, rows: int) -> int:
        """How many columns are cached, where a decode step goes on with text behind all that is known of them, so that
        nothing is to be laid out; else 0.
        """
        if self.looking or state.tie is not self.tie or state.offset.shape[1] != rows:
            return 0
        if getattr(self.thread, "prompt", None) is not None or is_tracing() or not self.reader.only_text(call):
            return 0
        past = int(call["past_key_values"].get_seq_length())
        return past if past >= state.layout.columns else 0

    @torch.compiler.disable(reason=GRAPH)
    def _lay_out(self, call: dict[str, Any], state: State | None, rows: int, columns: int) -> None:
        if is_tracing() or torch.compiler.is_exporting():
            raise ModelError(f"{self.scheme} reads every prompt: {GRAPH}; trace or export the restored model")
        cache = call.get("past_key_values")
        past, held, known = 0 if cache is None else int(cache.get_seq_length()), None, 0
        if past == 0:
            state = None
        elif state is None:
            raise ModelError(
                "the cache holds tokens that did not pass through the model under its scheme: it was filled before the "
                "model was balanced, or by a tuned prefix; start with a fresh cache"
            )
        else:
            state.require(self.scheme)
            state = state.rows(rows)
        prompt = getattr(self.thread, "prompt", None)
        prompt = None if prompt is None else prompt.part(call, past)
        if state is not None:
            text = past >= state.layout.columns and prompt is None and self.reader.only_text(call)
            if text and not self.looking:
                self.thread.call = Call(past, state, None, rows, columns)
                return
            state = state.settled()
            if text:
                states.keep(cache, state)
                now = Call(past, state, None, rows, columns)
                padding = padded(call.get("attention_mask"), rows, past, columns)
                if padding is not None:
                    known = min(state.layout.columns, past)
                    now.padding = covered(layouts.text(rows, past + columns), state.held(past), known, padding)
                self.thread.call = now
                return
            held, known = state.held(past), min(state.layout.columns, past)
        if prompt is not None:
            whole, padding = prompt.layout, prompt.padding
        else:
            whole = self.reader.read(call, past, getattr(self.thread, "trusts", False), held)
            padding = padded(call.get("attention_mask"), rows, past, columns)
        if whole is None and held is not None:  # a cache cropped back: count from the columns
            whole = held.join(layouts.text(rows, columns))
        if whole is not None and whole.native is None and held is not None and held.native is not None:
            whole = replace(whole, native=F.pad(held.native, (0, whole.columns - held.columns)))
        now = Call(past, state, None, rows, columns, whole)
        if padding is not None or (held is not None and held.padding is not None):
            now.padding = covered(whole or layouts.text(rows, columns), held, known, padding)
        if whole is not None:
            now.layout = whole.hide(now.padding).crop(past + columns)
        self.thread.call = now

    def rotate(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Give the rotary embedding the scheme's positions instead of the model's own."""
        call = self.running()
        if call is None:  # the decoder was called on its own, without the module that sees pictures: text only
            return None
        native = ids_of(args, kwargs)
        if native.dim() == 3 and len(native) < self.axes:  # text in generation: natively the same on all axes
            native = native.expand(self.axes, -1, -1)
            args, kwargs = with_ids(args, kwargs, native)
        if call.positions is None:
            axes = native if native.dim() == 3 else native[None]
            call.native = axes
            call.positions = self._follow(call, axes) if call.decodes else self._positions(call, axes)
        if not self.turns:
            return args, kwargs
        if self.mixer.sets == 1:
            return with_ids(args, kwargs, shaped(call.positions[0], native))
        rotary = Rotary(self.mixer, module, args, kwargs)
        return with_ids(args, kwargs, rotary.shape(call.positions[0], sets=self.mixer.sets))

    def embed(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """Compute the rotary embedding of the other channels and rules."""
        call = self.running()
        if call is None or call.positions is None:
            return output
        rotary = Rotary(self.mixer, module, args, kwargs)
        if call.turns:
            attention.mark(output, call.turns, embed=rotary.plain, turned=rotary.turned)
        if self.mixes and call.native is not None:
            output, *others = rotary.variants(self.plan.variants, call.native, call.positions, call.tracks)
            call.embeddings.append((ref(first_of(output)), others))
        if torch.is_grad_enabled():
            setattr(first_of(output), states.SLOT, call)
        return output

    def alone(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse embeddings of pictures in a decoder that is called on its own: nobody saw where they stand."""
        embeds = kwargs.get("inputs_embeds")
        if embeds is None:  # the outer module hands embeddings on: a forward that was interrupted has left its call
            self.thread.call = None
        elif self.running() is None and not self.reader.words.all(embeds):
            raise ModelError(
                f"{type(module).__name__} is called on its own with embeddings that are no words; call "
                f"{type(self.outer).__name__}, which sees the token ids, or restore the model"
            )

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Hand the state to the cache; forget the call, also after an exception."""
        call = self.running()
        self.thread.call = None
        if call is not None and call.next is not None and output is not None:
            states.hand_over(output, call.next)

    def _follow(self, call: Call, native: Tensor) -> list[Tensor]:
        """Text behind what is cached: natively the same on all axes, one after the largest."""
        state = call.state
        if state is not None and self.plan.rules:
            call.tracks = state.tracks
            largest = native if len(native) == 1 else native.amax(0, keepdim=True)
            moved = largest - state.offset[..., None]
            positions = [moved] if len(moved) == 1 else list(moved.split(1))
        else:
            positions = [native + self.scheme.shift]
        if self.looking and state is not None:
            call.tracks = state.tracks
            layout = state.held(call.past).join(layouts.text(call.rows, call.columns))
            self._looked(call, native.expand(-1, call.rows, -1), layout, positions if self.plan.rules else [])
        return positions

    @torch.compiler.disable(reason=GRAPH)
    def _positions(self, call: Call, native: Tensor) -> list[Tensor]:
        """For each rule what the rotary embedding gets in place of ``native``, a LongTensor (axes, rows or 1, columns).

        Each is a Tensor (axes or 1 or channels, rows or 1, columns), long or float32.
        """
        own = native.expand(-1, call.rows, -1)
        layout = (call.whole or layouts.text(call.rows, call.columns)).hide(self._hidden(call, own))
        fed = layout.crop(call.past + call.columns)
        call.layout = fed if call.whole is not None else None
        told = layout
        if self.plan.measures:
            told = layout.told(own, call.past)
        rules, call.tracks = self.plan.tracks(told)
        if not rules:
            known = self._looked(call, own, fed, [])
            none = torch.zeros(1, call.rows, dtype=torch.long, device=native.device)
            call.next = State(self.tie, fed, none[0], none, *known, call.tracks)
            return [native + self.scheme.shift]
        layout = told
        if call.state is None:
            found = [assign.balance(own, layout, rule) for rule in rules]
            tokens = fed.columns if fed.padding is None else (~fed.padding).sum(-1).to(native.device)
            origin = found[0].raster_end - tokens
            offset = torch.stack([balanced.native_end - balanced.end for balanced in found])
            moved = [balanced.positions for balanced in found]
        else:
            origin = assign.begun(call.state.origin, own, call.past, fed)
            resumed = [assign.resume(origin, own, call.past, layout, rule) for rule in rules]
            offset = torch.stack([assign.native_end(own, fed) - end for _, end in resumed])
            moved = [found for found, _ in resumed]
        known = self._looked(call, own, fed, moved)
        call.next = State(self.tie, layout.crop(fed.columns), origin, offset, *known, call.tracks)
        if call.layout is None:
            return [native for _ in rules]
        return moved

    def _looked(
        self, call: Call, native: Tensor, layout: Layout, moved: list[Tensor]
    ) -> tuple[Tensor | None, tuple[Tensor, ...]]:
        """Prepare the attention effects of ``call``; what the next forward must know of where everything stands."""
        if not self.looking:
            return None, ()
        turns, (positions, *placed) = looks.turns(call, native, layout, self.plan, moved)
        call.turns = turns if bool(turns.image.any()) else None
        return positions, tuple(placed)

    def _hidden(self, call: Call, native: Tensor) -> Tensor | None:
        """The padding of ``call`` that its positions leave out."""
        padding = call.padding
        if padding is None:
            return None
        now = slice(call.past, call.past + call.columns)
        counted = assign.uncounted(native, padding[:, now])
        if counted is padding:
            return padding
        padding = padding.clone()
        padding[:, now] = False if counted is None else counted
        return padding
