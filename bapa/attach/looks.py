"""From attention effects as a scheme declares them to distances that queries and keys turn, and to blocks of heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bapa.attach.call import Call, Far, Turns, aligned
from bapa.attach.plan import Plan
from bapa.errors import ModelError
from bapa.layout import Layout
from bapa.schemes import Tokens, assign
from bapa.schemes.effects import Where
from bapa.schemes.part import Kind

KINDS: tuple[Kind, Kind] = ("text", "image")


def turns(
    call: Call, native: Tensor, layout: Layout, plan: Plan, moved: Sequence[Tensor]
) -> tuple[Turns, tuple[Tensor, ...]]:
    """How far everything turns in a forward, and where the rules put all columns, after where the model itself does.

    ``native``: (axes, rows, columns), the positions of this forward. ``moved``: those of each rule. ``layout``: of all
    columns.
    """
    positions, placed = _history(call, native, layout, moved)
    image = aligned(layout.mask.to(native.device), positions.shape[-1])
    padding = call.padding if call.padding is not None else layout.padding  # also what takes positions
    if padding is not None:
        padding = aligned(padding[:, : call.past + call.columns], positions.shape[-1]).to(native.device)
    tokens = Tokens(positions, positions, image, assign.segments(positions, image, padding), padding)
    views = [replace(tokens, placed=one) for one in placed] or [tokens]
    sets = plan.scheme.sets

    def far(where: Where, members: tuple[int | None, ...]) -> Far:
        found = [None if member is None else where(views[member]) for member in members]
        dealt = [one is not None and sets > 1 and len(one) == sets for one in found]
        return tuple(
            None if one is None else (one[:, None] if several else one) - positions
            for one, several in zip(found, dealt, strict=True)
        )

    queries, keys, tracks = [], [], []
    for rule, look in plan.looks:
        tracks.append(call.tracks[rule or 0])
        asked = None if look.query is None else far(look.query, tracks[-1].members)
        queries.append(None if asked is None else tuple(None if f is None else f[..., call.past :] for f in asked))
        keys.append(None if look.key is None else far(look.key, tracks[-1].members))
    behind = call.state if call.decodes else None
    return Turns(tokens, tuple(queries), tuple(keys), tuple(tracks), call.past, behind), (positions, *placed)


def _history(call: Call, native: Tensor, layout: Layout, moved: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The positions of all columns, cached ones included: the model's own, and those of each rule."""
    state = call.state
    if state is None or state.positions is None:
        return native, list(moved)
    if len(state.placed) != len(moved):
        raise ModelError(
            f"{state.scheme} gives images of other lengths other channels, which the cached tokens do not have; "
            "start with a fresh cache"
        )
    held = state.positions[..., : call.past].to(native.device)
    decoded = torch.arange(call.past - held.shape[-1], device=native.device, dtype=torch.long)
    end = assign.native_end(held, layout.crop(held.shape[-1]))
    since = end[:, None] + decoded
    placed = []
    for rule, now in enumerate(moved):
        before = state.placed[rule][..., : call.past].to(native.device)
        text = since - state.offset[rule][:, None]
        rows = (max(len(before), len(now)), len(now[0]), -1)
        placed.append(torch.cat([part.expand(rows) for part in (before, text, now)], -1))
    return torch.cat([held, since.expand(len(held), -1, -1), native], -1), placed
