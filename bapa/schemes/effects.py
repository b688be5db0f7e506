"""What a scheme does to a model, told as data: whoever attaches it reads this and never asks which scheme it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Attention = Literal["native", "ranked", "bidirectional"]
Kind = Literal["text", "image"]
Pair = tuple[Kind, Kind]  # of a query and the key it looks at

ACROSS: frozenset[Pair] = frozenset({("text", "image"), ("image", "text")})
TEXT_TO_IMAGE: frozenset[Pair] = frozenset({("text", "image")})


@dataclass(frozen=True)
class Tokens:
    """What an attention effect is told of a batch, cached columns included.

    ``positions``: (axes, rows, columns), where the rotary embedding puts each token. ``image``: BoolTensor (rows,
    columns). ``begin``: LongTensor (rows, columns), the column at which each token's sequence begins.
    """

    positions: Tensor
    image: Tensor
    begin: Tensor


Where = Callable[[Tokens], Tensor]


@dataclass(frozen=True)
class Look:
    """An attention effect: from where the queries of some pairs of tokens look, and where their keys then stand.

    ``pairs``: kinds of query and key. ``query``, ``key``: position of every token in that role, shaped as
    :attr:`Tokens.positions`; None is where the token stands anyway. Pairs that no look names keep their scores.
    """

    pairs: frozenset[Pair]
    query: Where | None = None
    key: Where | None = None


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

    ``positions``: the rotary embedding gets those of :meth:`Scheme.place`; else the model's own go on. ``grid``: the
    rule asks for patch grids, or for how far the model itself goes on behind an image, so what M-RoPE positions tell of
    them is read. ``views``: it needs to know how thumbnail and tiles stand. ``looks``: attention effects. ``features``:
    a change of image features. ``mask``: who sees whom inside an image.
    """

    positions: bool = True
    grid: bool = False
    views: bool = False
    looks: tuple[Look, ...] = ()
    features: Features | None = None
    mask: Attention = "native"
