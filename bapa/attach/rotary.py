"""Calling a rotary module with positions of our own, and putting its channels together from several sets of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from bapa.attach.plan import Tracks
from bapa.errors import ModelError
from bapa.schemes.part import Channels


def ids_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """The position ids that a rotary module is called with: (rows or 1, columns) or (axes, rows or 1, columns)."""
    return kwargs["position_ids"] if "position_ids" in kwargs else args[1]


def with_ids(args: tuple[Any, ...], kwargs: Mapping[str, Any], ids: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same call with other position ids."""
    if "position_ids" in kwargs:
        return args, {**kwargs, "position_ids": ids}
    return (args[0], ids, *args[2:]), dict(kwargs)


def shaped(positions: Tensor, native: Tensor) -> Tensor:
    """``positions``, (axes or 1, rows, columns), in the shape of the ids ``native``."""
    return positions[0] if native.dim() == 2 else positions.expand(len(native), -1, -1)


@dataclass(frozen=True)
class Pairs:
    """The rotary pairs of one module. ``number``: LongTensor (pairs,), counted within the pair's axis. ``wave``:
    (pairs,), its wavelength in positions. ``pair``: LongTensor (channels,), the pair that each channel of an embedding
    belongs to.
    """

    number: Tensor
    wave: Tensor
    pair: Tensor


@dataclass
class Mixer:
    """How rotary embeddings are made from several sets of positions.

    ``sets``: of a rule that deals them in turn: rotary pair j turns by set j mod ``sets`` (VRoPE, section 3).
    ``channels``: those that take a rule, the others keep the model's own positions. ``sections``: pairs of each axis,
    where the attention itself puts the axes together (Qwen2-VL in transformers 4).
    """

    sets: int
    channels: Channels
    sections: tuple[int, ...] = ()
    known: dict[Any, Pairs] = field(default_factory=dict)  # by module, and by what else it is called with


@dataclass(frozen=True)
class Rotary:
    """One call of a rotary ``module``, to be made with positions of our own. Embeddings are cosine and sine (rows,
    columns, channels), or one complex tensor.
    """

    mixer: Mixer
    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def native(self) -> Tensor:
        """The ids it was called with, (rows or 1, columns) or (axes, rows or 1, columns)."""
        return ids_of(self.args, self.kwargs)

    def shape(self, positions: Tensor, number: int = 0, sets: int = 1) -> Tensor:
        """One position set in the shape of the model's own ids.

        ``positions``: (axes or 1 or sets, rows, columns), or (sets, axes, rows, columns).
        """
        if positions.dim() == 4:
            chosen = positions[number]
        else:
            chosen = positions if sets == 1 else positions[number % len(positions)][None]
        return shaped(chosen, self.native)

    def plain(self, positions: Tensor) -> Any:
        """The embedding at one set of positions, (axes or 1, rows, columns)."""
        return self._call(self.shape(positions))

    def embed(self, positions: Tensor) -> Any:
        """The embedding at the positions of a rule, shaped as :meth:`shape` takes them."""
        sets = self.mixer.sets
        if sets == 1:
            return self.plain(positions)
        outputs = [self._call(self.shape(positions, number, sets)) for number in range(sets)]
        pairs = self.pairs()
        return _picked(
            outputs, pairs, torch.arange(len(pairs.number), device=pairs.number.device, dtype=torch.long) % sets
        )

    def variants(
        self, variants: Sequence[int | None], native: Tensor, positions: Sequence[Tensor], tracks: Sequence[Tracks]
    ) -> list[Any]:
        """The embedding of each of ``variants``, numbers of rules or None for the model's own.

        ``native``: the model's own positions; ``positions``: those of each rule; ``tracks``: of each rule.
        """
        made: dict[int | None, Any] = {}
        found = []
        for variant in variants:
            track = Tracks((None,)) if variant is None else tracks[variant]
            for member in track.members:
                if member not in made:
                    made[member] = self.plain(native) if member is None else self.embed(positions[member])
            found.append(self.mixed([made[member] for member in track.members], track))
        return found

    def turned(self, far: Sequence[Tensor | None], tracks: Tracks) -> Any:
        """The embedding that turns by the distances ``far``, one for each member of ``tracks``; None: not at all."""
        like = next(one for one in far if one is not None)
        still = torch.zeros_like(like if like.dim() == 3 else like[0])[:1]
        turns = [still if one is None else one for one in far]
        return self.mixed([self.plain(one) if one.dim() == 3 else self.embed(one) for one in turns], tracks)

    def mixed(self, members: Sequence[Any], tracks: Tracks) -> Any:
        """One embedding from those of the ``members`` of ``tracks``, each pair from the one it takes."""
        if len(members) == 1:
            return members[0]
        pairs = self.pairs()
        device = pairs.wave.device
        edges = torch.tensor(tracks.edges, dtype=torch.float32, device=device)
        choice = torch.tensor(tracks.table, device=device, dtype=torch.long)[torch.bucketize(pairs.wave, edges)]
        choice = torch.where(self.mixer.channels.numbered(pairs.number), tracks.numbered, choice)
        return _picked(members, pairs, choice)

    @torch.compiler.disable
    @torch.no_grad()
    def pairs(self) -> Pairs:
        """The rotary pairs, from what the module does to the first position of each axis."""
        more = tuple(str(value) for name, value in self.kwargs.items() if name not in ("x", "position_ids"))
        key = (self.module, tuple(map(str, self.args[2:])), more)
        if key not in self.mixer.known:
            self.mixer.known[key] = self._found()
        return self.mixer.known[key]

    def _found(self) -> Pairs:
        args, kwargs = self.args, self.kwargs
        if args:
            args = (args[0][:1, :1].float(), *args[1:])
        if "x" in kwargs:
            kwargs = {**kwargs, "x": kwargs["x"][:1, :1].float()}
        small = replace(self, args=args, kwargs=kwargs)
        axes = 1 if self.native.dim() == 2 else len(self.native)
        turns = []
        for number in range(axes):
            ids = self.native.new_zeros(axes, 1, 1)
            ids[number] = 1
            turns.append(_angle(small._call(ids[0] if self.native.dim() == 2 else ids), self.mixer.sections))
        turn, pair = _paired(torch.stack(turns))
        axis = turn.abs().argmax(0)
        own = torch.nn.functional.one_hot(axis, axes)
        count = (own.cumsum(0) - 1).gather(1, axis[:, None])[:, 0]
        most = max((last for _, last in self.mixer.channels.numbers), default=-1)
        if most > int(count.max()):
            longest = " on its longest axis" if axes > 1 else ""
            raise ModelError(f"channels={most}: the rotary embedding has pairs 0 to {int(count.max())}{longest}")
        return Pairs(count, 2 * math.pi / turn.abs().amax(0).clamp(min=1e-30), pair)

    def _call(self, ids: Tensor) -> Any:
        args, kwargs = with_ids(self.args, self.kwargs, ids)
        return self.module.forward(*args, **kwargs)


def _angle(embedding: Any, sections: tuple[int, ...]) -> Tensor:
    """Angle by which an embedding of one position turns each channel, (channels,)."""
    if isinstance(embedding, Tensor):
        return embedding.angle()[0, 0]
    cosine, sine = (joined(part, sections) if part.dim() == 4 else part for part in embedding)
    return torch.atan2(sine, cosine)[0, 0]


def _paired(turn: Tensor) -> tuple[Tensor, Tensor]:
    """Angles by pair, (axes, pairs), and the pair of each channel, from angles by channel, (axes, channels)."""
    channel = torch.arange(turn.shape[-1], device=turn.device, dtype=torch.long)
    half = len(channel) // 2
    if halved(turn):  # both members of a pair turn by one angle, laid out in halves
        return turn[:, :half], channel % half
    if torch.equal(turn[:, ::2], turn[:, 1::2]):  # or side by side
        return turn[:, ::2], channel // 2
    return turn, channel


def _picked(outputs: Sequence[Any], pairs: Pairs, choice: Tensor) -> Any:
    """From several embeddings one; ``choice``: LongTensor (pairs,), which of them each pair is taken from."""
    if isinstance(outputs[0], Tensor):
        return _deal(list(outputs), choice[pairs.pair])
    return tuple(_deal(list(part), choice[pairs.pair]) for part in zip(*outputs, strict=True))


def _deal(outputs: list[Tensor], choice: Tensor) -> Tensor:
    stacked = torch.stack(torch.broadcast_tensors(*outputs), -1)
    return stacked.gather(-1, choice.to(stacked.device).expand(stacked.shape[:-1])[..., None]).squeeze(-1)


def first_of(embedding: Any) -> Tensor:
    """The cosine, or the one complex tensor, of what a rotary module gives; what a layer must know rides on it."""
    return embedding if isinstance(embedding, Tensor) else embedding[0]


def halved(*parts: Tensor) -> bool:
    """Whether the channels of a rotary embedding are laid out in halves, not pair by pair."""
    return all(torch.equal(part[..., : part.shape[-1] // 2], part[..., part.shape[-1] // 2 :]) for part in parts)


def joined(part: Tensor, sections: tuple[int, ...]) -> Tensor:
    """One tensor of an embedding with its axes put together, as the attention does that gets them apart."""
    pieces = part.split(sections * 2, -1)
    return torch.cat([piece[i % len(sections)] for i, piece in enumerate(pieces)], -1)


def sections(config: PretrainedConfig) -> tuple[int, ...]:
    """Rotary pairs of each axis, as the config of an M-RoPE model tells them."""
    words = config.get_text_config()
    told = (getattr(words, name, None) or {} for name in ("rope_scaling", "rope_parameters"))
    return next((tuple(found["mrope_section"]) for found in told if "mrope_section" in found), ())
