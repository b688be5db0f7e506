"""What a scheme does to a model, told as data: whoever attaches it reads this and never asks which scheme it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from torch import Tensor

from bapa.schemes.part import EVERY, EVERYWHERE, Pair, Part
from bapa.schemes.shares import ALL, fractions

Attention = Literal["native", "ranked", "bidirectional"]


@dataclass(frozen=True)
class Tokens:
    """What an attention effect is told of a batch, cached columns included.

    ``positions``: (axes, rows, columns), where the rotary embedding puts each token. ``placed``: the same shape or one
    axis for all, where :meth:`Scheme.place` does. ``image``: BoolTensor (rows, columns). ``begin``: LongTensor (rows,
    columns), the column at which each token's sequence begins. ``padding``: BoolTensor (rows, columns), where there is
    any.
    """

    positions: Tensor
    placed: Tensor
    image: Tensor
    begin: Tensor
    padding: Tensor | None = None


Where = Callable[[Tokens], Tensor]


def placed(tokens: Tokens) -> Tensor:
    """Where the rule's own :meth:`Scheme.place` puts each token."""
    return tokens.placed


@dataclass(frozen=True)
class Look:
    """An attention effect: from where the queries of some pairs of tokens look, and where their keys then stand.

    ``pairs``: kinds of query and key. ``layer``: the only one that looks so; None: all. ``query``, ``key``: position of
    every token in that role, shaped as :attr:`Tokens.positions`; None is where the token stands anyway. ``weight``:
    share of these scores in the pairs' scores, the rest is native; ``shares``: how much of that each key-value head
    takes, or head by head each rotary pair; without any, all of it. Pairs that no look names keep their scores.
    """

    pairs: frozenset[Pair]
    query: Where | None = None
    key: Where | None = None
    weight: float = 1
    layer: int | None = None
    shares: Sequence[float] | Tensor = ()


@dataclass(frozen=True)
class Bias:
    """A number added to the scores of some ``pairs`` of tokens.

    ``amount``: from the mean cosine of all rotary pairs at the distance of query and key, a Tensor (rows, queries,
    keys) from -1 to 1, to what is added.
    """

    pairs: frozenset[Pair]
    amount: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Features:
    """A change of image features on their way into the decoder.

    ``change``: from features (tokens, hidden) to features of the same shape and dtype. ``over``: whether it is given
    one ``image`` at a time or all of a ``call``.
    """

    change: Callable[[Tensor], Tensor]
    over: Literal["image", "call"] = "image"


@dataclass(frozen=True)
class Effects:
    """All that a scheme changes.

    ``positions``: :meth:`Scheme.place` counts; else the model's own positions go on. ``grid``: the rule asks for patch
    grids, or for how far the model itself goes on behind an image, so what M-RoPE positions tell of them is read.
    ``views``: it needs to know how thumbnail and tiles stand. ``looks``, ``bias``: attention effects. ``features``: a
    change of image features. ``mask``: who sees whom inside an image; ``soft``: image tokens see later ones too, their
    weight before the softmax times ``sigma``. ``part``: to which pairs, layers and channels all this applies, and how
    much.
    """

    positions: bool = True
    grid: bool = False
    views: bool = False
    looks: tuple[Look, ...] = ()
    bias: Bias | None = None
    features: Features | None = None
    mask: Literal["native", "ranked", "bidirectional", "soft"] = "native"
    sigma: float = 1
    part: Part = EVERYWHERE

    @property
    def rotary(self) -> bool:
        """Whether the rotary embedding gets the rule's positions: in all pairs, and not mixed with native scores."""
        part = self.part
        return self.positions and not part.nothing and (part.pairs, part.blend, part.shares) == (EVERY, 1, ALL)

    @property
    def scores(self) -> tuple[Look, ...]:
        """The looks as far as they apply; positions that apply to some pairs, or are mixed in, are a look too."""
        part = self.part
        looks = (Look(EVERY, placed, placed),) if self.positions and not self.rotary else self.looks
        if part.nothing:
            return ()
        heads: list[tuple[int | None, Sequence[float]]] = [(n, fractions(digits)) for n, digits in part.shares.layers]
        return tuple(
            replace(look, pairs=look.pairs & part.pairs, weight=look.weight * part.blend, layer=layer, shares=shares)
            for look in looks
            if look.pairs & part.pairs
            for layer, shares in heads or [(None, ())]
        )

    @property
    def added(self) -> Bias | None:
        """The bias as far as it applies."""
        part, bias = self.part, self.bias
        if bias is None or part.nothing or not bias.pairs & part.pairs:
            return None
        return Bias(bias.pairs & part.pairs, partial(_scaled, part.blend, bias.amount))

    @property
    def attends(self) -> bool:
        """Whether attention scores change other than through the rotary embedding."""
        return bool(self.scores) or self.added is not None


def _scaled(by: float, amount: Callable[[Tensor], Tensor], cosine: Tensor) -> Tensor:
    return by * amount(cosine)
