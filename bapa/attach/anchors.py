"""Attention in which a query looks at image tokens from one position and at text from another (``anchored``).

Scores that depend on what kind of key they look at are one product of longer heads: with the query for text and the
query for images side by side, and the keys of either kind, zeros elsewhere, side by side as well. So the model's own
attention function does the rest: masks, windows, grouped heads, sinks. Keys stay in the cache as the model put them.
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PretrainedConfig
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from bapa import layout as layouts
from bapa.attach import turning
from bapa.attach.rotary import first_of
from bapa.attach.state import State
from bapa.attach.turning import Turn
from bapa.errors import ModelError, SchemeError
from bapa.families import facts as families
from bapa.schemes import assign
from bapa.schemes.anchored import Anchored, anchors

if TYPE_CHECKING:
    from bapa.attach.hooks import Attachment, Call
    from bapa.families.anatomy import Anatomy

NAME = "bapa_anchored"
PLACES = "_bapa_places"
ATTENTION = ("sdpa", "eager")
GROWING = ("dynamic", "longrope")  # frequencies that depend on the largest position: turns do not compose


@dataclass(frozen=True)
class Places:
    """What the attention of one forward must know.

    ``positions``: (axes, rows, columns) of all columns, cached ones included; ``image``: BoolTensor (rows, columns).
    ``queries``: how far each query of this forward turns to look across, (axes, rows, queries). ``embed``: the rotary
    embedding at given positions. Rides on the embedding that the layers get, so that layers computed again for their
    gradients see it too.
    """

    positions: Tensor
    image: Tensor
    queries: Tensor
    embed: Callable[[Tensor], Any] = lambda positions: None
    made: dict[str, Any] = field(default_factory=dict)

    def query(self) -> Any:
        """The embedding that turns each query to where it looks across from."""
        if "query" not in self.made:
            self.made["query"] = self.embed(self.queries)
        return self.made["query"]

    def key(self, keys: int) -> Any:
        """The embedding that turns each of ``keys`` keys back to position 0."""
        if str(keys) not in self.made:
            self.made[str(keys)] = self.embed(-aligned(self.positions, keys))
        return self.made[str(keys)]


def aligned(columns: Tensor, keys: int) -> Tensor:
    """``columns``, (..., columns), cut or filled to what an attention layer holds: a sliding window its last ones, a
    static cache all of them and room behind.
    """
    missing = keys - columns.shape[-1]
    return columns[..., -keys:] if missing < 0 else nn.functional.pad(columns, (0, missing))


def places(call: Call, native: Tensor, scheme: Anchored) -> tuple[Places, State]:
    """Where everything stands in a forward that gets the positions ``native``, (axes, rows, columns)."""
    layout = call.layout or (call.state.layout if call.state else layouts.text(call.rows, call.columns))
    positions = native
    if call.state is not None and call.state.positions is not None:
        held = call.state.positions[..., : call.past].to(native.device)
        decoded = torch.arange(call.past - held.shape[-1], device=native.device)
        since = (assign.native_end(held)[:, None] + decoded).expand(len(held), -1, -1)
        positions = torch.cat([held, since, native], -1)
    image = aligned(layout.mask.to(native.device), positions.shape[-1])
    begin = assign.segments(positions, image)
    if call.begin is not None:  # the padding that a plain forward counts as positions
        begin = begin.maximum(call.begin.to(begin.device)[:, None]).minimum(torch.arange(begin.shape[-1]).to(begin))
    across = torch.zeros_like(positions) if scheme.rule == "edvt" else anchors(positions, image, begin)
    state = State(scheme, layout, torch.zeros(call.rows), torch.zeros(1, call.rows), positions)
    return Places(positions, image, (across - positions)[..., call.past :]), state


def mark(embedding: Any, known: Places, embed: Callable[[Tensor], Any]) -> None:
    """Let ``embedding``, which goes to the layers, bring ``known`` along, and how it was made."""
    setattr(first_of(embedding), PLACES, replace(known, embed=embed, made={}))


@dataclass
class AttentionHook:
    """What one attention module needs under ``anchored``. ``turn`` is found at its first forward."""

    attachment: Attachment
    rule: str
    config: PretrainedConfig
    turn: Turn | None = None
    known: dict[int, Places | None] = field(default_factory=dict)  # by thread; None: only look at the query

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take along what the embedding brings."""
        embedding = kwargs.get("position_embeddings")
        known = None if embedding is None else getattr(first_of(embedding), PLACES, None)
        if known is None:
            call = self.attachment.running()
            if call is not None and call.places and embedding is not None:
                raise ModelError(f"{type(module).__name__} did not get the rotary embedding it should; use native")
            return
        if self.turn is None:
            self.turn = self._try(module, args, kwargs, known)
        self.known[threading.get_ident()] = known

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Forget, also after an exception."""
        self.known.pop(threading.get_ident(), None)

    @torch.no_grad()
    def _try(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], known: Places) -> Turn:
        """How this module turns its queries, from what three positions further do to them."""
        here = known.positions[..., -known.queries.shape[-1] :]
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
                "scheme 'anchored' cannot be used, all others can"
            )
        return turn

    def look(self, query: Tensor, key: Tensor, known: Places) -> tuple[Tensor, Tensor]:
        """Longer queries and keys, (rows, heads, tokens, 2 or 3 x channels), whose products are the scores."""
        if self.turn is None:
            raise ModelError("an attention layer ran before it was looked at; balance the model again")
        image = aligned(known.image, key.shape[2])[:, None, :, None]
        own = known.image[:, -query.shape[2] :][:, None, :, None]
        across = self.turn(query, known.query())
        if self.rule == "dipe":
            queries = [torch.where(own, across, query), torch.where(own, query, across)]
            return torch.cat(queries, -1), torch.cat([key * ~image, key * image], -1)
        bare = self.turn(key, known.key(key.shape[2]))
        queries = [query, query * own, across * ~own]
        return torch.cat(queries, -1), torch.cat([key * ~image, key * image, bare * image], -1)


class _Seen(Exception):
    """Carries a query out of an attention module that need not go on."""

    def __init__(self, query: Tensor) -> None:
        super().__init__()
        self.query = query


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """The model's own attention function over longer heads; the arguments are those transformers hands to it."""
    hook: Any = module._bapa_anchored
    name = hook.config._attn_implementation
    if name not in ATTENTION:
        raise ModelError(_refusal(name))
    known = hook.known.get(thread := threading.get_ident())
    if known is not None:
        if kwargs.get("scaling") is None:
            kwargs["scaling"] = query.shape[-1] ** -0.5  # of the head as it was
        query, key = hook.look(query, key, known)
    elif thread in hook.known:
        raise _Seen(query)
    own = ALL_ATTENTION_FUNCTIONS[name] if name != "eager" else _globals(module)["eager_attention_forward"]
    return own(module, query, key, value, attention_mask, **kwargs)


AttentionInterface.register(NAME, attend)


@dataclass
class Anchors:
    """The attention modules of a decoder that take part."""

    modules: list[nn.Module]
    handles: list[Any]

    @classmethod
    def attach(cls, attachment: Attachment, anatomy: Anatomy, scheme: Anchored) -> Anchors:
        """Put ``scheme`` into the decoder of ``anatomy``, which :func:`check` has passed."""
        modules = _attentions(anatomy)
        handles = []
        for module in modules:
            hook: Any = AttentionHook(attachment, scheme.rule, module.config)
            module._bapa_anchored = hook
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
            module.config = module._bapa_anchored.config  # type: ignore[union-attr]
            del module._bapa_anchored


def check(anatomy: Anatomy) -> None:
    """Raise SchemeError, with the reason, where the attention of ``anatomy`` cannot look from two positions."""
    name = anatomy.model.config.get_text_config()._attn_implementation
    if name not in ATTENTION:
        raise SchemeError(_refusal(name))
    growing = {str(kind) for rotary in anatomy.rotaries for kind in _kinds(rotary)} & set(GROWING)
    if growing:
        raise SchemeError(
            f"'anchored' turns queries by a distance; {growing.pop()} rotary frequencies change with the length"
        )
    if not _attentions(anatomy):
        raise SchemeError(
            f"'anchored' needs attention whose function can be chosen; {type(anatomy.decoder).__name__} has none"
        )
    if (kind := anatomy.model.config.model_type) in families.NORMED:
        raise SchemeError(f"'anchored' turns queries further; {kind} scales their channels after it has turned them")


def _attentions(anatomy: Anatomy) -> list[nn.Module]:
    return [m for layer in anatomy.layers for m in layer.modules() if "ALL_ATTENTION_FUNCTIONS" in _names(m)]


def _refusal(name: str) -> str:
    return (
        f"'anchored' looks at text and images from two positions, known to be right for {' and '.join(ATTENTION)} "
        f"attention and not for {name}; load the model with attn_implementation='sdpa'"
    )


def _kinds(rotary: nn.Module) -> list[Any]:
    kind = getattr(rotary, "rope_type", None)
    return list(kind.values()) if isinstance(kind, dict) else [kind]


def _names(module: nn.Module) -> tuple[str, ...]:
    return getattr(inspect.unwrap(type(module).forward), "__code__", attend.__code__).co_names


def _globals(module: nn.Module) -> dict[str, Any]:
    return inspect.unwrap(type(module).forward).__globals__
