"""Attention in which some pairs of tokens look from and at other positions than those of the rotary embedding.

Scores that depend on what kind of query looks at what kind of key are one product of longer heads: queries and keys as
each kind of pair has them, zeros elsewhere, side by side. So the model's own attention function does the rest: masks,
windows, grouped heads, sinks. Keys stay in the cache as the model put them.
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PretrainedConfig
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from bapa.attach import turning
from bapa.attach.call import Attached, Call, Turns, aligned
from bapa.attach.rotary import first_of
from bapa.attach.turning import Turn
from bapa.errors import ModelError, SchemeError
from bapa.families import facts as families
from bapa.families.anatomy import Anatomy
from bapa.layout import Layout
from bapa.schemes import Scheme, assign
from bapa.schemes.effects import Kind, Look, Tokens

NAME = __name__  # in a self-contained checkpoint another, as its code may run beside ours
TURNS = "_bapa_turns"
ATTENTION = ("sdpa", "eager")
GROWING = ("dynamic", "longrope")  # frequencies that depend on the largest position: turns do not compose


def turns(call: Call, native: Tensor, layout: Layout, scheme: Scheme) -> tuple[Turns, Tensor]:
    """How far everything turns in a forward that gets the positions ``native``, (axes, rows, columns), and the
    positions of all columns. ``layout``: of all columns.
    """
    positions = native
    if call.state is not None and call.state.positions is not None:
        held = call.state.positions[..., : call.past].to(native.device)
        decoded = torch.arange(call.past - held.shape[-1], device=native.device, dtype=torch.long)
        end = assign.native_end(held, layout.crop(held.shape[-1]))
        since = (end[:, None] + decoded).expand(len(held), -1, -1)
        positions = torch.cat([held, since, native], -1)
    image = aligned(layout.mask.to(native.device), positions.shape[-1])
    padding = call.padding if call.padding is not None else layout.padding  # also what takes positions
    if padding is not None:
        padding = aligned(padding[:, : call.past + call.columns], positions.shape[-1]).to(native.device)
    tokens = Tokens(positions, image, assign.segments(positions, image, padding))
    looks = scheme.effects.looks
    queries = (None if look.query is None else (look.query(tokens) - positions)[..., call.past :] for look in looks)
    keys = (None if look.key is None else look.key(tokens) - positions for look in looks)
    return Turns(tokens, tuple(queries), tuple(keys), call.past), positions


def mark(embedding: Any, known: Turns, embed: Callable[[Tensor], Any]) -> None:
    """Let ``embedding``, which goes to the layers, bring ``known`` along, and how it was made."""
    setattr(first_of(embedding), TURNS, replace(known, embed=embed, made={}))


@dataclass(frozen=True)
class Block:
    """A part of a longer head: the keys of one kind as one look turns them, and what either kind of query brings.

    ``key``: number of the look that turns the keys, None where they stay. ``brings``: by kind of query the look that
    turns it, None where it stays; no entry where it does not see these keys in this block.
    """

    kind: Kind
    key: int | None
    brings: dict[Kind, int | None] = field(default_factory=dict)


def blocks(looks: tuple[Look, ...]) -> list[Block]:
    """The parts of the longer heads that ``looks`` need, each pair of kinds in one of them."""
    found: dict[tuple[Kind, int | None], Block] = {}
    kinds: tuple[Kind, Kind] = ("text", "image")
    for key, query in product(kinds, reversed(kinds)):
        look = next((i for i, look in enumerate(looks) if (query, key) in look.pairs), None)
        turned = None if look is None or looks[look].key is None else look
        block = found.setdefault((key, turned), Block(key, turned))
        block.brings[query] = None if look is None or looks[look].query is None else look
    return list(found.values())


@dataclass
class AttentionHook:
    """What one attention module needs. ``turn`` is found at its first forward."""

    attachment: Attached
    blocks: list[Block]
    config: PretrainedConfig
    turn: Turn | None = None
    known: dict[int, Turns | None] = field(default_factory=dict)  # by thread; None: only look at the query

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take along what the embedding brings."""
        embedding = kwargs.get("position_embeddings")
        known = None if embedding is None else getattr(first_of(embedding), TURNS, None)
        if known is None:
            call = self.attachment.running()
            if call is not None and call.turns and embedding is not None:
                raise ModelError(f"{type(module).__name__} did not get the rotary embedding it should; use native")
            return
        if self.turn is None:
            self.turn = self._try(module, args, kwargs, known)
        self.known[threading.get_ident()] = known

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Forget, also after an exception."""
        self.known.pop(threading.get_ident(), None)

    @torch.no_grad()
    def _try(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], known: Turns) -> Turn:
        """How this module turns its queries, from what three positions further do to them."""
        here = known.tokens.positions[..., known.past :]
        self.known[threading.get_ident()] = None
        seen = []
        for embedding in (known.embed(here), known.embed(here + 3)):
            given = {**kwargs, "position_embeddings": embedding}
            try:
                module.forward(
                    *(None if isinstance(arg, Cache) else arg for arg in args),
                    **{name: None if isinstance(arg, Cache) else arg for name, arg in given.items()},
                )
            except _Seen as look:
                seen.append(look.query)
        sections = tuple((getattr(module, "rope_scaling", None) or {}).get("mrope_section", ()))
        turn = turning.found(seen[0], seen[-1], known.embed(torch.full_like(here, 3)), sections) if seen else None
        if turn is None:
            raise ModelError(
                f"{type(module).__name__} turns its queries in a way this release does not know; "
                f"{self.attachment.scheme} cannot be used; rules that change positions only can"
            )
        return turn

    def look(self, query: Tensor, key: Tensor, known: Turns) -> tuple[Tensor, Tensor]:
        """Longer queries and keys, (rows, heads, tokens, blocks x channels), whose products are the scores."""
        if self.turn is None:
            raise ModelError("an attention layer ran before it was looked at; balance the model again")
        turn = self.turn
        image = aligned(known.image, key.shape[2])[:, None, :, None]
        own = known.image[:, -query.shape[2] :][:, None, :, None]

        def asked(look: int | None) -> Tensor:
            return query if look is None else turn(query, known.query(look))

        queries, keys = [], []
        for block in self.blocks:
            brought = {kind: asked(look) for kind, look in block.brings.items()}
            if len(brought) == 2:
                alike = block.brings["text"] == block.brings["image"]
                queries.append(brought["text"] if alike else torch.where(own, brought["image"], brought["text"]))
            else:
                queries.append(brought["text"] * ~own if "text" in brought else brought["image"] * own)
            turned = key if block.key is None else turn(key, known.key(block.key, key.shape[2]))
            keys.append(turned * (image if block.kind == "image" else ~image))
        return torch.cat(queries, -1), torch.cat(keys, -1)


class _Seen(Exception):
    """Carries a query out of an attention module that need not go on."""

    def __init__(self, query: Tensor) -> None:
        super().__init__()
        self.query = query


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """The model's own attention function over longer heads; the arguments are those transformers hands to it."""
    hook: Any = module._bapa_attention
    name = hook.config._attn_implementation
    if name not in ATTENTION:
        raise ModelError(_refusal(hook.attachment.scheme, name))
    known = hook.known.get(thread := threading.get_ident())
    if known is not None:
        if kwargs.get("scaling") is None:
            kwargs["scaling"] = query.shape[-1] ** -0.5  # of the head as it was
        query, key = hook.look(query, key, known)
    elif thread in hook.known:
        raise _Seen(query)
    own = ALL_ATTENTION_FUNCTIONS[name] if name != "eager" else _globals(module)["eager_attention_forward"]
    return own(module, query, key, value, attention_mask, **kwargs)


@dataclass
class Looking:
    """The attention modules of a decoder that take part."""

    modules: list[nn.Module]
    handles: list[Any]

    @classmethod
    def attach(cls, attachment: Attached, anatomy: Anatomy) -> Looking:
        """Put the looks of a scheme into the decoder of ``anatomy``, which :func:`check` has passed."""
        AttentionInterface.register(NAME, attend)  # transformers' table: only once something needs it
        modules = _attentions(anatomy)
        handles = []
        for module in modules:
            hook: Any = AttentionHook(attachment, blocks(attachment.effects.looks), module.config)
            module._bapa_attention = hook
            config = copy.copy(hook.config)  # for this module alone, so that masks are made as before
            config._attn_implementation_internal = NAME
            module.config = config
            handles.append(module.register_forward_pre_hook(hook.enter, with_kwargs=True))
            handles.append(module.register_forward_hook(hook.leave, with_kwargs=True, always_call=True))
        return cls(modules, handles)

    def detach(self) -> None:
        """Leave every module as it was."""
        for handle in self.handles:
            handle.remove()
        for module in self.modules:
            module.config = module._bapa_attention.config  # type: ignore[union-attr]
            del module._bapa_attention


def check(anatomy: Anatomy, scheme: Scheme) -> None:
    """Raise SchemeError, with the reason, where the attention of ``anatomy`` cannot look from two positions."""
    name = anatomy.model.config.get_text_config()._attn_implementation
    if name not in ATTENTION:
        raise SchemeError(_refusal(scheme, name))
    growing = {str(kind) for rotary in anatomy.rotaries for kind in _kinds(rotary)} & set(GROWING)
    if growing:
        raise SchemeError(
            f"{scheme} turns queries by a distance; {growing.pop()} rotary frequencies change with the length"
        )
    if not _attentions(anatomy):
        raise SchemeError(
            f"{scheme} needs attention whose function can be chosen; {type(anatomy.decoder).__name__} has none"
        )
    if (kind := anatomy.model.config.model_type) in families.NORMED:
        raise SchemeError(f"{scheme} turns queries further; {kind} scales their channels after it has turned them")


def _attentions(anatomy: Anatomy) -> list[nn.Module]:
    return [m for layer in anatomy.layers for m in layer.modules() if "ALL_ATTENTION_FUNCTIONS" in _names(m)]


def _refusal(scheme: Scheme, name: str) -> str:
    return (
        f"{scheme} looks at text and images from two positions, known to be right for {' and '.join(ATTENTION)} "
        f"attention and not for {name}; load the model with attn_implementation='sdpa'"
    )


def _kinds(rotary: nn.Module) -> list[Any]:
    kind = getattr(rotary, "rope_type", None)
    return list(kind.values()) if isinstance(kind, dict) else [kind]


def _names(module: nn.Module) -> tuple[str, ...]:
    return getattr(inspect.unwrap(type(module).forward), "__code__", attend.__code__).co_names


def _globals(module: nn.Module) -> dict[str, Any]:
    return inspect.unwrap(type(module).forward).__globals__
