"""Queries and keys turned from the position they were given to another one.

Rotary embeddings compose: turning by ``p`` and then by ``q - p`` is turning by ``q``. How a family lays its channel
pairs out inside a head is found by trying, on the attention module itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from bapa.attach.rotary import halved, joined
from bapa.errors import SchemeError

Angles = tuple[Tensor, Tensor]  # cosine and sine of each rotary pair's angle, (rows, 1, tokens, pairs)


@dataclass(frozen=True)
class Turn:
    """Which channels of a head make the pairs that turn: ``halves`` (i, i + n) or ``neighbours`` (2i, 2i + 1), at the
    head's ``front`` or ``back``; ``none`` in a layer without rotary positions. ``sections``: pairs of each axis, where
    the attention itself puts the axes together (Qwen2-VL in transformers 4).
    """

    pairs: Literal["halves", "neighbours", "none"]
    place: Literal["front", "back"] = "front"
    sections: tuple[int, ...] = ()

    def __call__(self, states: Tensor, embedding: Any) -> Tensor:
        """``states``, (rows, heads, tokens, channels), turned by ``embedding``, what a rotary module gave for the
        distance: cosine and sine (rows, tokens, channels that turn), or one complex tensor of half as many.
        """
        return self.by(states, self.angles(embedding))

    def angles(self, embedding: Any) -> Angles:
        """What :meth:`by` turns by, from an embedding."""
        cosine, sine = angles(embedding, self.sections)
        return cosine[:, None].float(), sine[:, None].float()

    def by(self, states: Tensor, how: Angles) -> Tensor:
        """``states``, (rows, heads, tokens, channels), turned by angles of as many tokens, or of one for all."""
        if self.pairs == "none":
            return states
        cosine, sine = how
        width = 2 * cosine.shape[-1]
        turned, rest = states[..., :width], states[..., width:]
        if self.place == "back":
            rest, turned = states[..., :-width], states[..., -width:]
        shape = (2, -1) if self.pairs == "halves" else (-1, 2)
        one, two = turned.float().unflatten(-1, shape).unbind(-2 if self.pairs == "halves" else -1)
        new = torch.stack(
            [one * cosine - two * sine, two * cosine + one * sine], -2 if self.pairs == "halves" else -1
        ).flatten(-2)
        if not rest.shape[-1]:
            return new.to(states.dtype)
        parts = [new.to(states.dtype), rest]
        return torch.cat(parts if self.place == "front" else parts[::-1], -1)

    def spread(self, shares: Tensor, heads: int, channels: int, pairs: int) -> Tensor:
        """``shares`` of ``heads``, or head by head of their ``pairs``, over the channels: (heads, channels).

        Raises SchemeError where they are neither so many, or nothing turns.
        """
        if len(shares) not in (heads, heads * pairs) or self.pairs == "none":
            has = f"{heads} key-value heads of {pairs} rotary pairs" if self.pairs != "none" else "no rotary positions"
            raise SchemeError(
                f"shares have {len(shares)} digits for a layer with {has}; one for each head, or one for each pair of "
                "each head, is accepted"
            )
        by_pair = shares.view(heads, -1).expand(-1, pairs)
        turned = by_pair.repeat(1, 2) if self.pairs == "halves" else by_pair.repeat_interleave(2, 1)
        rest = channels - 2 * pairs  # these do not turn, so their share does not matter
        return torch.nn.functional.pad(turned, (0, rest) if self.place == "front" else (rest, 0))


def angles(embedding: Any, sections: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each pair's angle, (rows, tokens, pairs), without the factor some families put on both."""
    if isinstance(embedding, Tensor):
        cosine, sine = embedding.real, embedding.imag
    else:
        cosine, sine = (joined(part, sections) if part.dim() == 4 else part for part in embedding)
        half = cosine.shape[-1] // 2
        cosine, sine = (p[..., :half] if halved(cosine, sine) else p[..., ::2] for p in (cosine, sine))
    scale = (cosine.square() + sine.square()).sqrt()
    return cosine / scale, sine / scale


def found(before: Tensor, after: Tensor, embedding: Any, sections: tuple[int, ...] = ()) -> Turn | None:
    """The turn that takes ``before`` to ``after``; None where none does. ``sections`` as :class:`Turn` has them."""
    if torch.equal(before, after):
        return Turn("none")
    moved = (after - before).float().norm()
    for turn in _candidates(before, embedding, sections):
        if (turn(before, embedding) - after).float().norm() < 0.02 * moved:  # bfloat16 rounds by less
            return turn
    return None


def _candidates(states: Tensor, embedding: Any, sections: tuple[int, ...]) -> Iterator[Turn]:
    if 2 * angles(embedding, sections)[0].shape[-1] <= states.shape[-1]:
        for place in ("front", "back"):
            yield Turn("halves", place, sections)
            yield Turn("neighbours", place, sections)
