"""Attention in which some pairs of tokens look from, and at, other positions: asked run by run.

A score depends on how far query and key turn *against each other*. The queries of a run of tokens of one kind often
turn by one distance, as all text behind an image does; then their keys take it over with the opposite sign and the
queries stay. Scores are linear in the key, so what mixes several looks is one key too. Either way the model's own
attention function runs over heads of their own length, once for each run, which is about the work it has natively. Only
where distances differ within a run (image tokens that share a position look back at text from several distances)
queries and keys get longer heads: both ways of turning side by side, zeros in the keys that one of them does not meet.
Keys that are few are met by their scores instead: a channel of the query for each, which that key alone takes.

Text that is decoded meets the prompt's keys as they were met the step before, so these are kept: see :class:`Kept`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise
from typing import Any
from weakref import proxy

import torch
from torch import Tensor, nn

from bapa.attach.call import Far, Turns, aligned
from bapa.attach.turning import Angles, Turn
from bapa.schemes import Look

_WIDE = 8  # fast kernels want heads of so many channels, or twice, thrice ...
MORE = 8  # times as many queries as stand before them: then these are asked too
Numbered = Sequence[tuple[int, Look]]


@dataclass(frozen=True)
class Share:
    """What part of the scores of each key, ``weight`` (rows, heads or 1, keys, channels or 1), comes from keys turned
    ``far``; None is not at all.
    """

    weight: Tensor
    far: Far | None
    turned: Callable[[Far], Angles] | None = None

    @cached_property
    def angles(self) -> Angles | None:
        return None if self.far is None or self.turned is None else self.turned(self.far)

    def told(self, columns: int) -> list[Tensor]:
        """All that matters to the first ``columns`` keys."""
        return [self.weight[:, :, :columns], *(one for one in _cut(self.far, 0, columns) or () if one is not None)]

    def behind(self, column: int) -> Share:
        """The same for the keys from ``column`` on; one distance for all keys stays."""
        far = self.far and tuple(one if one is None or one.shape[-1] == 1 else one[..., column:] for one in self.far)
        return Share(self.weight[:, :, column:], far, self.turned)


@dataclass(frozen=True)
class Part:
    """One stretch of a head: queries turned by ``asked``, None as they are, and the keys they meet there.

    ``either``: BoolTensor shaped as weights, where each key is the last of ``keys`` or stays; None where they mix.
    ``few``: the columns of the keys met, (keys,) long, where ``keys`` tells of these alone.
    """

    asked: Angles | None
    keys: tuple[Share, ...]
    either: Tensor | None = None
    few: Tensor | None = None

    def met(self, key: Tensor, turn: Turn) -> Tensor:
        """Keys whose products with a query are the sum of all shares."""
        last = self.keys[-1]
        if self.either is not None and last.angles is not None:
            return torch.where(self.either, turn.by(key, last.angles), key)
        return sum_of([one.weight * (key if one.angles is None else turn.by(key, one.angles)) for one in self.keys])

    def scores(self, query: Tensor, key: Tensor, turn: Turn) -> tuple[Tensor, Tensor] | None:
        """Of the ``few`` keys the scores in channels of the queries, (rows, heads, queries, channels), and the channels
        of all keys, each with a one where its own score stands. None where all keys are met.
        """
        if self.few is None:
            return None
        met = self.met(key[:, :, self.few], turn)
        told = (query.unflatten(1, (met.shape[1], -1)) @ met[:, :, None].mT).flatten(1, 2)
        ones = nn.functional.one_hot(self.few, key.shape[2]).mT.to(key.dtype)
        room = (0, -len(self.few) % _WIDE)
        wide = nn.functional.pad(ones, room).expand(*key.shape[:2], -1, -1)
        return nn.functional.pad(told, room), wide

    def behind(self, column: int) -> Part:
        """The same for the keys from ``column`` on."""
        either = None if self.either is None else self.either[:, :, column:]
        return Part(self.asked, tuple(one.behind(column) for one in self.keys), either)


@dataclass(frozen=True)
class Kept:
    """The keys of a cache's last prompt, ``columns`` of them, as the text behind it meets them: turned once for each
    layer, not once for each step. As much memory as those keys take.

    ``told``: how far they turn and what their weights are, by which a later step knows them. ``plain``: keys behind
    them are met as they are. ``by``: what was met, by attention module and part.
    """

    columns: int
    told: list[Tensor]
    plain: bool
    by: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def met(self, module: nn.Module, number: int, part: Part, key: Tensor, turn: Turn) -> Tensor:
        """What :meth:`Part.met` gives for all of ``key``. ``number``: that of the part."""
        held = self.by.get(name := (id(module), number))
        if held is None:
            met = part.met(key, turn)
            self.by[name] = met[:, :, : self.columns]
            return met
        rest = key[:, :, self.columns :]
        return torch.cat([held, rest if self.plain else part.behind(self.columns).met(rest, turn)], 2)


@dataclass(frozen=True)
class Run:
    """Queries ``start`` to ``stop`` of a forward and the first ``keys`` keys; in no row do they change their kind.

    ``parts`` make up their heads; without any, the scores are the model's own. Queries from ``first`` on are asked, and
    what is said of those before ``start`` is dropped: asking a few more is cheaper than a mask. ``kept``: what is
    already turned of the keys.
    """

    first: int
    start: int
    stop: int
    keys: int
    parts: tuple[Part, ...] = ()
    kept: Kept | None = None

    def heads(self, module: nn.Module, query: Tensor, key: Tensor, turn: Turn) -> tuple[Tensor, Tensor]:
        """The heads of this run's queries and keys, (rows, heads, tokens, parts x channels)."""
        query, key = query[:, :, self.first : self.stop], key[:, :, : self.keys]
        if not self.parts:
            return query, key
        queries, met = [], []
        for number, part in enumerate(self.parts):
            asked = query if part.asked is None else turn.by(query, part.asked)
            found = part.scores(asked, key, turn)
            if found is None:
                kept = self.kept
                found = asked, part.met(key, turn) if kept is None else kept.met(module, number, part, key, turn)
            queries.append(found[0])
            met.append(found[1])
        return (torch.cat(queries, -1), torch.cat(met, -1)) if len(met) > 1 else (queries[0], met[0])


def sum_of(parts: Sequence[Tensor]) -> Tensor:
    """The sum of one tensor or more."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def attend(
    own: Callable[..., tuple[Tensor, Tensor | None]],
    module: nn.Module,
    looks: Numbered,
    turn: Turn,
    known: Turns,
    states: tuple[Tensor, Tensor, Tensor],
    mask: Tensor | None,
    causal: bool,
    kwargs: dict[str, Any],
) -> tuple[Tensor, Tensor | None]:
    """What ``own``, an attention function of transformers, gives for ``states`` (query, key, value) under ``looks``."""
    query, key, value = states
    channels = value.shape[-1]
    outputs, weights = [], []
    for run in runs(looks, known, query, key, mask is None and causal, turn):
        asked, seen = run.heads(module, query, key, turn)
        those = value[:, :, : run.keys]
        if len(run.parts) > 1:  # fast kernels want values as long as keys
            those = nn.functional.pad(those, (0, max(seen.shape[-1] - channels, 0)))
        found, weight = own(module, asked, seen, those, _mask(mask, run, causal, query.device), **kwargs)
        few = run.start - run.first
        outputs.append(found[:, few:, :, :channels])
        weights.append(None if weight is None else weight[:, :, few:])
    told = [one for one in weights if one is not None]
    return torch.cat(outputs, 1), torch.cat(told, 2) if told else None


def runs(looks: Numbered, known: Turns, query: Tensor, key: Tensor, plain: bool, turn: Turn) -> list[Run]:
    """The runs of this forward's queries, made once for all layers that take the same ``looks``.

    ``plain``: there is no mask but the causal one, so that a run's keys end where it does.
    """
    keys = key.shape[2]
    name = (tuple(number for number, _ in looks), keys, plain, turn, query.dtype)
    if name not in known.made:
        queries = query.shape[2]
        kinds = known.image[:, -queries:]
        changes = (kinds[:, 1:] != kinds[:, :-1]).any(0).nonzero().flatten().tolist() if queries > 1 else []
        ends = [0, *(change + 1 for change in changes), queries]
        past = min(known.image.shape[-1], keys) - queries  # a static cache has room behind, a window holds the last
        known.made[name] = [
            _run(looks, known, kinds, span, past + span[1] if plain else keys, key, turn) for span in pairwise(ends)
        ]
    found: list[Run] = known.made[name]
    return found


def _run(
    looks: Numbered,
    known: Turns,
    kinds: Tensor,
    span: tuple[int, int],
    visible: int,
    key: Tensor,
    turn: Turn,
) -> Run:
    (start, stop), keys, dtype = span, key.shape[2], key.dtype
    first = 0 if visible == stop and MORE * start < stop - start else start
    image, own = aligned(known.image, keys)[:, :visible], kinds[:, start, None]
    native = torch.ones_like(image, dtype=torch.float32)[:, None, :, None]
    taken, parts, either = [], [], None
    for number, look in looks:
        met = torch.zeros_like(image)
        for of_query, of_key in look.pairs:
            met = met | ((own == (of_query == "image")) & (image == (of_key == "image")))
        if kinds.shape[1] > 1 and not bool(met.any()):
            continue  # text before the first image; in a decode step it is not worth the wait for the answer
        turned = partial(_angles, proxy(known), number, turn)  # it holds what is made here
        asked, seen = _cut(known.queries[number], start, stop), _cut(_held(known.keys[number], keys), 0, visible)
        weight = look.weight * met[:, None, :, None].float()
        if len(look.shares):
            weight = weight * _spread(look, key, turn, turned(_cut(seen or asked, 0, 1) or ()))
        native, weight = native - weight, weight.to(dtype)
        if asked is None or all(one is None or _alike(one) for one in asked):
            taken.append(Share(weight, _less(seen, asked), turned))
            either = met[:, None, :, None] if look.weight == 1 and not len(look.shares) else None
        else:
            further = _cut(known.queries[number], first, stop)
            few = _few(weight, key) if known.state is None else None  # what is kept for later steps is whole keys
            if few is not None:
                seen = seen and tuple(one if one is None or one.shape[-1] == 1 else one[..., few] for one in seen)
                weight = weight[:, :, few]
            share = Share(weight, seen, turned)
            parts.append(Part(None if further is None else turned(further), (share,), few=few))
    if not taken and not parts:
        return Run(first, start, stop, visible)
    if taken or bool(native.any()):
        own_way = Share(native.to(dtype), None)
        parts.insert(0, Part(None, (own_way, *taken), either if len(taken) == 1 and not parts else None))
    return Run(first, start, stop, visible, tuple(parts), _kept(looks, known, parts, keys, turn))


def _few(weight: Tensor, key: Tensor) -> Tensor | None:
    """The columns of ``weight`` that are not zero, (columns,) long, those that a mask hides among them; None where they
    would take more than half a head, or where 16 bits are not enough for a score.
    """
    if key.dtype != torch.float32 or torch.is_autocast_enabled(key.device.type):
        return None
    columns = weight.any(dim=(0, 1, 3)).nonzero()[:, 0]
    return columns if 2 * len(columns) <= key.shape[-1] else None


def _spread(look: Look, key: Tensor, turn: Turn, angles: Angles) -> Tensor:
    """The shares of a look over heads and channels, (heads, 1, channels). ``angles``: of one column."""
    shares = torch.as_tensor(look.shares, dtype=torch.float32, device=key.device)
    return turn.spread(shares, key.shape[1], key.shape[-1], angles[0].shape[-1])[:, None]


def _kept(looks: Numbered, known: Turns, parts: Sequence[Part], keys: int, turn: Turn) -> Kept | None:
    """What is turned already, where only text comes behind a prompt whose keys are all still there; a window that has
    moved on lacks some. From the second step on: beams change their rows after each, and would keep what none asks for.
    """
    state = known.state
    if state is None or keys < known.image.shape[-1] or torch.is_grad_enabled():
        return None
    columns = state.layout.columns
    shares = [share for part in parts for share in part.keys]
    told = [one for share in shares for one in share.told(columns)]
    name = (tuple(number for number, _ in looks), turn)
    kept: Kept | None = state.met.get(name)
    if kept is None or len(kept.told) != len(told) or not all(map(torch.equal, kept.told, told)):
        met = [share.weight[:, :, columns:] for share in shares if share.far is not None]
        state.met[name] = Kept(columns, told, not any(bool(one.any()) for one in met))
        return None
    return kept


def _held(far: Far | None, keys: int) -> Far | None:
    return None if far is None else tuple(None if one is None else aligned(one, keys) for one in far)


def _cut(far: Far | None, start: int, stop: int) -> Far | None:
    return None if far is None else tuple(None if one is None else one[..., start:stop] for one in far)


def _alike(distances: Tensor) -> bool:
    """Whether each row turns by one distance."""
    return distances.shape[-1] == 1 or bool((distances == distances[..., :1]).all())


def _less(seen: Far | None, asked: Far | None) -> Far | None:
    """How far keys turn against queries that turn by one distance each row."""
    if asked is None or seen is None:
        return seen if asked is None else tuple(None if one is None else -one[..., :1] for one in asked)
    pairs = zip(seen, asked, strict=True)
    return tuple(None if one is None or other is None else one - other[..., :1] for one, other in pairs)


def _angles(known: Turns, number: int, turn: Turn, far: Far) -> Angles:
    return turn.angles(known.turned(far, known.tracks[number]))


def _mask(mask: Tensor | None, run: Run, causal: bool, device: torch.device) -> Tensor | None:
    """The rows of ``mask`` that ``run`` asks; of the causal one, None as long as that says the same."""
    if mask is not None:
        return mask[..., run.first : run.stop, :]
    asked = run.stop - run.first
    if not causal or asked == 1 or asked == run.keys:
        return None
    return torch.ones(asked, run.keys, dtype=torch.bool, device=device).tril(run.keys - asked)[None, None]
