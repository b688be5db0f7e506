"""What a generation must remember between forwards. It lives on the generation's key-value cache, never on the
model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from bapa import layout as layouts
from bapa.attach.plan import Tracks
from bapa.errors import ModelError
from bapa.layout import Layout
from bapa.schemes import Scheme

SLOT = "_bapa"


@dataclass(eq=False)
class Tie:
    """Whether a scheme is still on the model that filled a cache. One for each scheme a model has been under."""

    scheme: Scheme
    attached: bool = True


@dataclass(frozen=True)
class State:
    """The state of one generation after its last prefill.

    ``tie``: to the scheme it runs under. ``layout``: every column up to that prefill; columns decoded since are text.
    ``origin``: (rows,), raster position minus the tokens before it. ``offset``: (rules, rows), for each rule of the
    scheme the model's own position of the next text token minus its balanced one; of fixed shape, so that a compiled
    decode step is one graph. ``positions``: (axes, rows, columns), the model's own, where the scheme looks back at
    them, and ``placed``, for each rule, those of the scheme. ``tracks``: how embeddings are put together from
    the rules. ``order``: LongTensor (rows,), which rows of all this the cache's rows now are (beams); None: as they
    stand. ``met``: the prompt's keys as text behind it meets them, by what :mod:`bapa.attach.runs` calls them; a state
    of other rows starts without.
    """

    tie: Tie
    layout: Layout
    origin: Tensor
    offset: Tensor
    positions: Tensor | None = None
    placed: tuple[Tensor, ...] = ()
    tracks: tuple[Tracks, ...] = ()
    order: Tensor | None = field(default=None)
    met: dict[Any, Any] = field(default_factory=dict, init=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> State:
        return self  # what it says never changes; a copied cache goes on under the same scheme of the same model

    @property
    def scheme(self) -> Scheme:
        return self.tie.scheme

    def require(self, scheme: Scheme) -> None:
        """Raise ModelError where the cache was filled under another scheme than ``scheme``."""
        if self.scheme != scheme:
            raise ModelError(
                f"the cache was filled under {self.scheme}, the model runs under {scheme}; start with a fresh cache"
            )

    def select(self, rows: Tensor) -> State:
        """The state of some of the rows, in any order and as often as ``rows``, a LongTensor, names them."""
        rows = rows.to(self.offset.device)
        return replace(
            self,
            origin=self.origin.to(rows.device)[rows],
            offset=self.offset[:, rows],
            order=rows if self.order is None else self.order[rows],
        )

    def rows(self, rows: int) -> State:
        """The state for a batch of ``rows``: each row repeated where a cache was expanded."""
        have = self.offset.shape[1]
        if rows == have:
            return self
        if rows % have:
            raise ModelError(f"the cache was filled with a batch of {have}, this call has {rows} rows; prefill again")
        return self.select(
            torch.arange(have, device=self.offset.device, dtype=torch.long).repeat_interleave(rows // have)
        )

    def settled(self) -> State:
        """The same state with its rows in the cache's order."""
        if self.order is None:
            return self
        positions = None if self.positions is None else self.positions[:, self.order.to(self.positions.device)]
        placed = tuple(part[:, self.order.to(part.device)] for part in self.placed)
        layout = self.layout.select(self.order)
        return replace(self, layout=layout, positions=positions, placed=placed, order=None)

    def held(self, past: int) -> Layout:
        """The layout of the first ``past`` columns of the cache."""
        known = self.layout.crop(past)
        return known.join(layouts.text(known.rows, past - known.columns))


def of(cache: Any) -> State | None:
    """The state a cache carries."""
    return getattr(cache, SLOT, None)


@torch.compiler.disable(reason="what rides on a cache cannot be part of a graph")
def hand_over(output: Any, state: State) -> None:
    """Put ``state`` on the cache that a forward gives back."""
    cache = getattr(output, "past_key_values", None)
    if cache is None and isinstance(output, tuple):
        cache = next((part for part in output if isinstance(part, Cache)), None)
    if cache is not None:
        keep(cache, state)


def keep(cache: Any, state: State) -> None:
    """Put ``state`` on ``cache``, whose methods from now on take it along when they move rows about.

    The cache gets a class of its own for that. Methods put on the cache itself would refer back to it, and its keys
    and values would stay in memory until Python looks for reference cycles.
    """
    setattr(cache, SLOT, state)
    if not hasattr(cache, _OWN):
        cache.__class__ = _following(type(cache))


def reorder_cache(cache: Any, beam_idx: Tensor) -> None:
    """The cache's own method, and the state with it."""
    getattr(cache, _OWN).reorder_cache(cache, beam_idx)
    if (state := of(cache)) is not None:
        setattr(cache, SLOT, state.rows(len(beam_idx)).select(beam_idx))


def batch_select_indices(cache: Any, indices: Tensor) -> None:
    """The cache's own method, and the state with it."""
    getattr(cache, _OWN).batch_select_indices(cache, indices)
    if (state := of(cache)) is not None:
        rows = indices.nonzero().flatten() if indices.dtype == torch.bool else indices
        setattr(cache, SLOT, state.select(rows))


def batch_repeat_interleave(cache: Any, repeats: int) -> None:
    """The cache's own method, and the state with it."""
    getattr(cache, _OWN).batch_repeat_interleave(cache, repeats)
    if (state := of(cache)) is not None:
        setattr(cache, SLOT, state.rows(state.offset.shape[1] * repeats))


def update(cache: Any, *args: Any, **kwargs: Any) -> Any:
    """The cache's own method, as long as the scheme that filled it is on the model."""
    state = of(cache)
    if state is not None and not state.tie.attached:
        raise ModelError(
            f"the cache was filled under {state.scheme}, which is no longer on the model; start with a fresh cache"
        )
    return getattr(cache, _OWN).update(cache, *args, **kwargs)


_OWN = "_bapa_class"  # of a cache's class: the one it had before
_FOLLOWED: dict[str, Callable[..., Any]] = {
    method.__name__: method for method in (reorder_cache, batch_select_indices, batch_repeat_interleave, update)
}
_MADE: dict[type, type] = {}


def _following(kind: type) -> type:
    """``kind``, with methods that take the state along."""
    if kind not in _MADE:
        methods = {name: method for name, method in _FOLLOWED.items() if hasattr(kind, name)}
        names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
        _MADE[kind] = type(kind.__name__, (kind,), {**methods, **names, "__reduce_ex__": _reduced, _OWN: kind})
    return _MADE[kind]


def _reduced(cache: Any, protocol: Any) -> tuple[Any, ...]:
    """How a cache is copied and saved: its class is made anew, as it has no name to be found by."""
    kind = getattr(cache, _OWN)
    return (_empty, (kind,), *kind.__reduce_ex__(cache, protocol)[2:])


def _empty(kind: type) -> Any:
    return object.__new__(_following(kind))
