"""Scores of some pairs of tokens set right on the mask: cheap where few of all pairs change.

Where only text and images look at each other from other positions, most scores stay. The model's own attention function
then runs over heads of their own length, and what the changed scores differ by is added through the mask. A sum in full
precision is exact; in half precision a mask would round more than turned queries do, so that is left to longer heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from bapa.attach.call import Turns
from bapa.attach.turning import Turn
from bapa.schemes import Look
from bapa.schemes.part import Kind


@dataclass(frozen=True)
class Run:
    """Columns from ``start`` to ``stop`` of one kind."""

    kind: Kind
    start: int
    stop: int


def runs(image: Tensor) -> list[Run]:
    """The unbroken runs of text and of image tokens of one row, BoolTensor (columns,)."""
    found, start = [], 0
    for shown, group in groupby(image.tolist()):
        stop = start + len(list(group))
        found.append(Run("image" if shown else "text", start, stop))
        start = stop
    return found


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


@dataclass(frozen=True)
class Correction:
    """What some numbered ``looks`` change about scores, as something to add to the mask."""

    looks: tuple[tuple[int, Look], ...]
    turn: Turn

    def __call__(
        self, mask: Tensor | None, query: Tensor, key: Tensor, known: Turns, scaling: float, causal: bool
    ) -> Tensor:
        """The mask, (rows, heads, queries, keys), for which native ``query`` and ``key`` give the scores of the looks.

        ``query``: (rows, heads, queries, channels); ``key``: (rows, key heads, keys, channels).
        """
        rows, heads, queries, _ = query.shape
        keys, columns = key.shape[2], known.image.shape[-1]
        cut = max(columns - keys, 0)  # a sliding window holds the last columns only
        plain = mask is None and causal
        base = numbers(mask, queries, keys, columns, causal, query)
        changed = base.expand(rows, heads, -1, -1).clone()
        for those, told in self._rows(known):
            asked: dict[tuple[Any, ...], Tensor] = {}
            for of_query in told:
                first, last = max(of_query.start, columns - queries), of_query.stop
                if first >= last:
                    continue
                for of_key in told:
                    start, stop = max(of_key.start, cut), of_key.stop
                    looks = [(n, look) for n, look in self.looks if (of_query.kind, of_key.kind) in look.pairs]
                    if start >= stop or not looks or (plain and start >= last):
                        continue
                    q, k = slice(first - columns + queries, last - columns + queries), slice(start - cut, stop - cut)
                    own, seen = query[those, :, q], key[those, :, k]
                    more = torch.zeros((), dtype=query.dtype, device=query.device)
                    for number, look in looks:
                        here, there = own, seen
                        if look.query is not None:
                            name = (number, "query", q.start, q.stop)
                            if name not in asked:
                                asked[name] = self.turn(own, _part(known.query(number), those, q))
                            here = asked[name]
                        if look.key is not None:
                            name = (number, "key", k.start, k.stop)
                            if name not in asked:
                                asked[name] = self.turn(seen, _part(known.key(number, keys), those, k))
                            there = asked[name]
                        more = more + look.weight * (_product(here, there) - _product(own, seen))
                    changed[those, :, q, k] += scaling * more
        return changed

    def _rows(self, known: Turns) -> list[tuple[slice, list[Run]]]:
        """The rows of the batch, those that look alike together, and the runs of their columns."""
        if "rows" not in known.made:
            image = known.image
            alike = bool((image == image[:1]).all())
            spans = [slice(0, len(image))] if alike else [slice(r, r + 1) for r in range(len(image))]
            known.made["rows"] = [(span, runs(image[span.start])) for span in spans]
        found: list[tuple[slice, list[Run]]] = known.made["rows"]
        return found


def _product(query: Tensor, key: Tensor) -> Tensor:
    """Scores (rows, heads, queries, keys), key heads shared by as many query heads as there are for each."""
    groups = query.shape[1] // key.shape[1]
    if groups == 1:
        return query @ key.mT
    joined = query.unflatten(1, (-1, groups)).flatten(2, 3)
    return (joined @ key.mT).unflatten(2, (groups, -1)).flatten(1, 2)


def _part(embedding: Any, rows: slice, columns: slice) -> Any:
    """Some rows and columns of an embedding, each part (rows or 1, columns, ..) or (axes, rows or 1, columns, ..)."""
    parts: Sequence[Tensor] = (embedding,) if isinstance(embedding, Tensor) else embedding
    cut = []
    for part in parts:
        few = part.shape[-3] == 1
        cut.append(part[..., slice(None) if few else rows, columns, :])
    return cut[0] if isinstance(embedding, Tensor) else tuple(cut)
