"""Attention in which some pairs of tokens look from and at other positions than those of the rotary embedding.

The model's own attention function does the work, over queries and keys turned as :mod:`bapa.attach.runs` says: masks,
windows, grouped heads, sinks. Keys stay in the cache as the model put them.
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PretrainedConfig
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from bapa.attach import runs, turning
from bapa.attach.call import Attached, Turns, aligned
from bapa.attach.rotary import first_of, sections
from bapa.attach.turning import Turn
from bapa.errors import ModelError, SchemeError
from bapa.families import facts as families
from bapa.families.anatomy import Anatomy, find
from bapa.schemes import Look, Scheme
from bapa.schemes.effects import Bias

NAME = __name__  # in a self-contained checkpoint another, as its code may run beside ours
TURNS = "_bapa_turns"
ATTENTION = ("sdpa", "eager")
FOUND: WeakKeyDictionary[nn.Module, Turn] = WeakKeyDictionary()  # by attention module: balancing again tries nothing
GROWING = ("dynamic", "longrope")  # frequencies that depend on the largest position: turns do not compose


def mark(embedding: Any, known: Turns, **how: Any) -> None:
    """Let ``embedding``, which goes to the layers, bring ``known`` along, and ``how`` it was made."""
    setattr(first_of(embedding), TURNS, replace(known, **how, made={}))


@dataclass
class AttentionHook:
    """What one attention module needs."""

    attachment: Attached
    looks: list[tuple[int, Look]]
    bias: Bias | None
    config: PretrainedConfig
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
        if self.looks and module not in FOUND:
            FOUND[module] = self._try(module, args, kwargs, known)
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
        further = known.embed(torch.full_like(here, 3))
        turn = turning.found(seen[0], seen[-1], further, sections(self.config)) if seen else None
        if turn is None:
            raise ModelError(
                f"{type(module).__name__} turns its queries in a way this release does not know; "
                f"{self.attachment.scheme} cannot be used; rules that change positions only can"
            )
        return turn

    def added(self, mask: Tensor | None, query: Tensor, keys: int, known: Turns, causal: bool) -> Tensor | None:
        """``mask`` as numbers, (rows, heads or 1, queries, keys), with the bias of this module added."""
        if self.bias is None:
            return mask
        if (bias := known.made.get(keys)) is None:
            bias = known.made[keys] = self._bias(self.bias, query.shape[2], keys, known)
        plain = numbers(mask, query.shape[2], keys, known.image.shape[-1], causal, query)
        return plain + bias.to(plain.dtype)

    def _bias(self, bias: Bias, queries: int, keys: int, known: Turns) -> Tensor:
        pairs = sections(self.config)
        asked = turning.angles(known.embed(known.tokens.positions[..., -queries:]), pairs)
        seen = turning.angles(known.embed(aligned(known.tokens.positions, keys)), pairs)
        cosine = runs.sum_of([a.float() @ b.float().mT for a, b in zip(asked, seen, strict=True)]) / asked[0].shape[-1]
        image, own = aligned(known.image, keys)[:, None], known.image[:, -queries:, None]
        chosen = torch.zeros_like(image & own)
        for of_query, of_key in bias.pairs:
            chosen = chosen | ((own == (of_query == "image")) & (image == (of_key == "image")))
        return torch.where(chosen, bias.amount(cosine), 0)[:, None]


def layers(model: nn.Module) -> list[int]:
    """Numbers of the decoder layers whose attention can mix scores: of hybrid models not all have attention."""
    return sorted({layer for layer, _ in _attentions(find(model))})


def mix(model: nn.Module, shares: Mapping[int, Tensor]) -> None:
    """Let the layers of a balanced ``model`` whose rule has ``shares`` take these in their place: by layer, (heads,) or
    (heads x rotary pairs,); gradients flow back to them.
    """
    for layer, module in _attentions(find(model)):
        hook: Any = getattr(module, "_bapa_attention", None)
        if hook is not None:
            hook.looks = [(number, replace(look, shares=shares[layer])) for number, look in hook.looks]


def numbers(mask: Tensor | None, queries: int, keys: int, columns: int, causal: bool, like: Tensor) -> Tensor:
    """``mask`` as numbers to be added, (rows or 1, heads or 1, queries, keys); None is the plain mask.

    The queries are the last of ``columns``. ``keys`` may be fewer (a sliding window) or more (room in a static cache).
    """
    if mask is None:
        mask = torch.ones(queries, keys, dtype=torch.bool, device=like.device)
        mask = (mask.tril(min(columns, keys) - queries) if causal else mask)[None, None]
    if mask.dtype == torch.bool:
        hidden = torch.finfo(like.dtype).min
        mask = torch.zeros_like(mask, dtype=like.dtype).masked_fill(~mask, hidden)
    return mask[..., :keys]


class _Seen(Exception):
    """Carries a query out of an attention module that need not go on."""

    def __init__(self, query: Tensor) -> None:
        super().__init__()
        self.query = query


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """The model's own attention function as the looks have it; the arguments are those transformers hands to it."""
    hook: Any = module._bapa_attention
    name = hook.config._attn_implementation
    if name not in ATTENTION:
        raise ModelError(_refusal(hook.attachment.scheme, name))
    own = ALL_ATTENTION_FUNCTIONS[name] if name != "eager" else _globals(module)["eager_attention_forward"]
    known = hook.known.get(thread := threading.get_ident())
    if known is not None:
        if kwargs.get("scaling") is None:
            kwargs["scaling"] = query.shape[-1] ** -0.5  # of the head as it was
        causal = query.shape[2] > 1 and bool(getattr(module, "is_causal", True))
        attention_mask = hook.added(attention_mask, query, key.shape[2], known, causal)
        if hook.looks:
            states = query, key, value
            return runs.attend(own, module, hook.looks, FOUND[module], known, states, attention_mask, causal, kwargs)
    elif thread in hook.known:
        raise _Seen(query)
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
        modules, handles = [], []
        effects, plan = attachment.effects, attachment.plan
        for layer, module in _attentions(anatomy):
            looks = [(number, plan.looks[number][1]) for number in plan.looks_of(layer)]
            bias = effects.added if plan.scored[layer] is not None else None
            if not looks and bias is None:
                continue
            modules.append(module)
            hook: Any = AttentionHook(attachment, looks, bias, module.config)
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


def _attentions(anatomy: Anatomy) -> list[tuple[int, nn.Module]]:
    """The attention modules whose function can be chosen, each with the number of its layer."""
    return [
        (number, module)
        for number, layer in enumerate(anatomy.layers)
        for module in layer.modules()
        if "ALL_ATTENTION_FUNCTIONS" in _names(module)
    ]


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
