"""Attention written out pair by pair: every query turned towards every key by a distance of its own.

Nothing here is taken from ``bapa.attach``: the native model's own queries and keys, as its rotary embedding has turned
them, are turned further as complex numbers, and the softmax is written out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

import bapa
from bapa.families.anatomy import find
from tests.attach.checks import TWO_IMAGES, logits
from tests.tiny import FAMILIES, Family

# Axis of every rotary pair, and its number within the axis.
AXES = {
    "qwen2_5_vl": ([0, 0, 1, 1, 1, 2, 2, 2], [0, 1, 0, 1, 2, 0, 1, 2]),  # sections of 2, 3, 3
    "qwen3_vl": ([0, 1, 2, 0, 1, 2, 0, 1], [0, 0, 0, 1, 1, 1, 2, 2]),  # the same, interleaved
}
ONE_AXIS = ([0] * 8, list(range(8)))
SIX = ("llava", "idefics3", "mistral3", "llava_onevision", *AXES)


@dataclass
class Pairwise:
    """One layer's scores. ``share``: (tokens, tokens), of the rule in each score; ``further``: (pairs, tokens, tokens),
    how much farther apart query and key stand under it; ``added``: (tokens, tokens), on top of everything, -inf of the
    mask included. ``taken``: (heads or 1, pairs or 1), how much of that share each rotary pair of a head takes.
    """

    share: Tensor
    further: Tensor
    added: Tensor
    taken: Tensor = field(default_factory=lambda: torch.ones(1, 1))

    def scores(self, query: Tensor, key: Tensor, frequency: Tensor, scaling: float) -> Tensor:
        """``query``, ``key``: (heads, tokens, channels) of one row; scores (heads, tokens, tokens)."""
        half = len(frequency)
        q, k = (torch.complex(part[..., :half].double(), part[..., half : 2 * half].double()) for part in (query, key))
        turn = torch.polar(torch.ones(()).double(), frequency.double()[:, None, None] * self.further.double())
        rest = query[..., 2 * half :].double() @ key[..., 2 * half :].double().mT
        own = torch.einsum("hid,hjd->hdij", q, k.conj())
        share = self.share * self.taken.double()[..., None, None]
        mixed = ((1 - share) * own.real + share * (own * turn).real).sum(1) + rest
        return mixed * scaling + self.added


@contextmanager
def written_out(model: nn.Module, by_layer: dict[int, Pairwise]) -> Iterator[None]:
    """Inside the block, layers of a native ``model`` attend as told, one row at a time, without a cache."""
    anatomy = find(model)
    layers = {id(m): i for i, layer in enumerate(anatomy.layers) for m in layer.modules()}
    frequency, own = anatomy.rotaries[0].inv_freq, ALL_ATTENTION_FUNCTIONS["sdpa"]

    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **more: Any
    ) -> Any:
        told = by_layer.get(layers.get(id(module), -1))
        if told is None:
            return own(module, query, key, value, attention_mask, **more)
        groups = query.shape[1] // key.shape[1]
        key, value = (part[0].repeat_interleave(groups, 0) for part in (key, value))
        scaling = more.get("scaling") or query.shape[-1] ** -0.5
        weights = told.scores(query[0], key, frequency, scaling).softmax(-1).to(value.dtype)
        return (weights @ value).transpose(0, 1)[None], None

    ALL_ATTENTION_FUNCTIONS["sdpa"] = attend
    try:
        yield
    finally:
        ALL_ATTENTION_FUNCTIONS["sdpa"] = own


def causal(length: int) -> Tensor:
    return torch.zeros(length, length).masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf)


def reach(family: Family, inputs: dict[str, Any], native: Tensor) -> Tensor:
    """How far each image token's image goes, in native positions: (tokens,), 0 on text."""
    found = torch.zeros(native.shape[-1])
    mask = family.image_mask(inputs["input_ids"])[0]
    for start, end in family.spans(inputs["input_ids"])[0]:
        inside = torch.arange(start, end)[mask[start:end]]
        extent = float(native[:, 0, inside].max() - native[:, 0, inside].min()) + 1
        found[inside] = extent if family.mrope else len(inside)
    return found


def by_wave(
    before: Tensor, after: Tensor, lengths: Tensor, image: Tensor, takes: list[Callable[[float], bool]]
) -> Tensor:
    """Positions (pairs, tokens) where pair k takes the rule for images whose length passes ``takes[k]``.

    ``before``, ``after``: natively and under the rule. What the text behind an image is moved by under the rule, it is
    moved by in the pairs that take it. For BaPA, and images in one piece.
    """
    starts = [i for i in range(len(image)) if image[i] and (i == 0 or not image[i - 1])]
    found = before.clone()
    for pair, take in enumerate(takes):
        moved = 0.0  # of the text so far, in this pair
        for start, stop in zip([0, *starts], [*starts, len(image)], strict=True):
            for i in range(start, stop):
                if image[i] and take(float(lengths[i])):
                    found[pair, i] = after[pair, i] - after[pair, start] + before[:, start].min() + moved
                else:
                    found[pair, i] = before[pair, i] + moved
            behind = next((i for i in range(start, stop) if not image[i]), None)
            if image[start] and take(float(lengths[start])) and behind is not None:
                text = (after - before)[pair]
                moved += float(text[behind] - (text[start - 1] if start else 0))
                found[pair, behind:stop] = before[pair, behind:stop] + moved
    return found


def expected(
    name: str,
    rule: str,
    *,
    words: list[list[str]] = TWO_IMAGES,
    pairs: str = "all",
    layers: tuple[int, ...] = (0, 1),
    blend: float = 1,
    numbers: tuple[int, ...] = tuple(range(8)),
    waves: Any = None,
    shares: dict[int, list[list[float]]] | None = None,
) -> Tensor:
    """Logits of a tiny model under ``rule`` in a part of it, from native queries and keys.

    ``numbers``: of pairs within their axis; ``waves``: a function of wavelength and image length, in place of them.
    ``shares``: by layer, for each key-value head what its rotary pairs take, in place of ``layers``.
    """
    family = FAMILIES[name]
    model, inputs = family.build(), family.inputs(words)
    native, ruled = (bapa.positions(bapa.balance(model, s), **inputs) for s in ("native", rule))
    bapa.restore(model)
    length = native.shape[-1]
    image = family.image_mask(inputs["input_ids"])[0]
    axis, number = AXES.get(name, ONE_AXIS)
    # (pairs, tokens): where each pair of channels has each token, natively and under the rule
    before, after = (p.expand(max(axis) + 1, -1, -1)[:, 0].double()[axis] for p in (native, ruled))
    if waves is None:
        chosen = torch.tensor([n in numbers for n in number])
        after = torch.where(chosen[:, None], after, before)
    else:
        wave = (2 * math.pi / find(model).rotaries[0].inv_freq).tolist()
        lengths = reach(family, inputs, native)
        takes = [partial(waves, w) for w in wave]
        if len(some := set(lengths[image].tolist())) == 1:
            after = torch.where(torch.tensor([take(*some) for take in takes])[:, None], after, before)
        else:
            after = by_wave(before, after, lengths, image, takes)
    further = (after[:, :, None] - after[:, None]) - (before[:, :, None] - before[:, None])
    asks, seen = image[:, None], image[None]
    here = {"all": torch.ones_like(asks & seen), "cross": asks != seen, "text-to-image": ~asks & seen}[pairs]
    told = Pairwise(blend * here.double(), further, causal(length))
    text = model.config.get_text_config()
    groups = text.num_attention_heads // text.num_key_value_heads
    by_layer = {
        layer: replace(told, taken=torch.tensor(taken).repeat_interleave(groups, 0))
        for layer, taken in (shares or {}).items()
    }
    with written_out(model, by_layer or dict.fromkeys(layers, told)):
        return logits(model, {**inputs, "use_cache": False})
