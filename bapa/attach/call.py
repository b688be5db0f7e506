"""One forward on its way through a model under a scheme, and what its layers and attention must know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import ReferenceType

from torch import Tensor, nn

from bapa.attach.plan import Plan, Tracks
from bapa.attach.state import State
from bapa.layout import Layout
from bapa.schemes import Effects, Scheme, Tokens

Far = tuple["Tensor | None", ...]  # by member of the look's tracks; None: not at all


@dataclass(frozen=True)
class Turns:
    """What the attention of one forward must know.

    ``tokens``: of all columns, cached ones included. ``queries``, ``keys``: by look, how far its queries (of this
    forward) and keys (of all columns) turn, (axes, rows, columns) or (sets, axes, rows, columns), for each member of
    its ``tracks``; None where they stay. ``past``: cached columns; ``state``: theirs, where only text comes behind the
    last prompt. ``embed``: the rotary embedding at given positions;
    ``turned``: the one that turns by given distances, channel by channel. Rides on the embedding that the layers get,
    so that layers computed again for their gradients see it too.
    """

    tokens: Tokens
    queries: tuple[Far | None, ...]
    keys: tuple[Far | None, ...]
    tracks: tuple[Tracks, ...]
    past: int
    state: State | None = None
    embed: Callable[[Tensor], Any] = lambda positions: None
    turned: Callable[[Far, Tracks], Any] = lambda far, tracks: None
    made: dict[Any, Any] = field(default_factory=dict)

    @property
    def image(self) -> Tensor:
        return self.tokens.image


def aligned(columns: Tensor, keys: int) -> Tensor:
    """``columns``, (..., columns), cut or filled to what an attention layer holds: a sliding window its last ones, a
    static cache all of them and room behind.
    """
    missing = keys - columns.shape[-1]
    return columns[..., -keys:] if missing < 0 else nn.functional.pad(columns, (0, missing))


@dataclass
class Call:
    """One forward on its way from the outer module to the rotary embedding and back.

    A call continues a cache (``past`` columns, ``state``) or starts at column 0; ``layout`` covers all columns
    including the cached ones, or is None where no image comes in; ``whole`` goes on to the end of the prompt where it
    is known, and nothing is hidden in it yet; ``padding``: BoolTensor of its shape, or None. ``positions``, one tensor
    for each rule, and ``next`` are filled when the rotary embedding is reached; ``embeddings`` holds, by
    its output for the first rule, those for the layers that take another, ``masks`` the last two masks made (given,
    rule, made), ``turns`` what attention effects need. Outputs carry the call along, so it refers to them weakly.
    """

    past: int
    state: State | None
    layout: Layout | None
    rows: int
    columns: int
    whole: Layout | None = None
    padding: Tensor | None = None
    native: Tensor | None = None
    positions: list[Tensor] | None = None
    tracks: tuple[Tracks, ...] = ()
    next: State | None = None
    embeddings: list[tuple[ReferenceType[Tensor], list[Any]]] = field(default_factory=list)
    masks: list[tuple[Tensor | None, int, Tensor]] = field(default_factory=list)
    turns: Turns | None = None

    @property
    def cuts(self) -> bool:
        """Whether this forward brings in a part of an image only."""
        if self.layout is None:
            return False
        number = self.layout.number
        held, now = number[:, : self.past], number[:, self.past :]
        last = held.amax(1, keepdim=True) if self.past else now.new_zeros(len(now), 1)
        further = number[:, :0] if self.whole is None else self.whole.number[:, number.shape[1] :]
        ends = number.amax(1, keepdim=True)
        return bool(((now == last) & (last > 0)).any()) or bool(((further > 0) & (further <= ends)).any())

    @property
    def decodes(self) -> bool:
        """Whether only text comes behind what is cached, so that it goes on from there."""
        return self.state is not None and self.layout is None


class Attached(Protocol):
    """What the hooks of layers and attention modules read of a scheme that is attached to a model."""

    scheme: Scheme
    effects: Effects
    plan: Plan

    def running(self) -> Call | None:
        """The forward this thread is in."""
