"""Mistakes in a part of a rule - wrong layers, heads, channels, pairs, keys - that the written-out attention sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from bapa.attach import looks, plan, rotary, runs, turning
from bapa.schemes.part import Layers
from tests.attach import checks
from tests.attach.test_parts import PARTS
from tests.attach.test_parts import test_scores_are_those_written_out as check
from tests.tiny import FAMILIES


def forget_the_native_share(patch: pytest.MonkeyPatch) -> None:
    met = runs.Part.met

    def only_turned(self: runs.Part, *given: Any) -> torch.Tensor:
        turned = tuple(share for share in self.keys if share.angles)
        return met(replace(self, keys=turned or self.keys, either=None), *given)

    patch.setattr(runs.Part, "met", only_turned)


def take_queries_for_alike(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "_alike", lambda distances: True)


def leave_the_queries_distance(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "_less", lambda seen, asked: seen)


def turn_all_channels(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rotary.Rotary, "mixed", lambda self, members, tracks: members[0])


def count_pairs_over_all_axes(patch: pytest.MonkeyPatch) -> None:
    found = rotary.Rotary._found

    def flat(self: rotary.Rotary) -> rotary.Pairs:
        right = found(self)
        return rotary.Pairs(torch.arange(len(right.number)), right.wave, right.pair)

    patch.setattr(rotary.Rotary, "_found", flat)


def double_the_wavelength(patch: pytest.MonkeyPatch) -> None:
    found = rotary.Rotary._found

    def longer(self: rotary.Rotary) -> rotary.Pairs:
        right = found(self)
        return rotary.Pairs(right.number, 4 * right.wave, right.pair)

    patch.setattr(rotary.Rotary, "_found", longer)


def swap_the_heads(patch: pytest.MonkeyPatch) -> None:
    spread = turning.Turn.spread
    patch.setattr(turning.Turn, "spread", lambda self, *given: spread(self, *given).flip(0))


def spread_over_neighbours(patch: pytest.MonkeyPatch) -> None:
    spread = turning.Turn.spread
    patch.setattr(
        turning.Turn, "spread", lambda self, *given: spread(replace(self, pairs="neighbours", place="front"), *given)
    )


def count_layers_from_one(patch: pytest.MonkeyPatch) -> None:
    of = Layers.of
    patch.setattr(Layers, "of", lambda self, count: frozenset((one - 1) % count for one in of(self, count)))


def take_every_layer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Layers, "of", lambda self, count: frozenset(range(count)))


def count_depths_from_the_end(patch: pytest.MonkeyPatch) -> None:
    of = Layers.of

    def turned(self: Layers, count: int) -> frozenset[int]:
        return of(replace(self, depths=tuple((1 - stop, 1 - start) for start, stop in self.depths)), count)

    patch.setattr(Layers, "of", turned)


def embed_for_the_layer_before(patch: pytest.MonkeyPatch) -> None:
    """Whatever a rule asks of the rotary embedding reaches a neighbour."""
    of = plan.Plan.of

    def moved(*given: Any) -> plan.Plan:
        right = of(*given)
        return replace(right, rotary=(*right.rotary[1:], right.rotary[0]))

    patch.setattr(plan.Plan, "of", moved)


def look_from_the_other_layer(patch: pytest.MonkeyPatch) -> None:
    looks_of = plan.Plan.looks_of
    patch.setattr(plan.Plan, "looks_of", lambda self, layer: looks_of(self, len(self.scored) - 1 - layer))


CAUGHT = [
    (count_layers_from_one, "llava", "layers=1"),
    (count_layers_from_one, "qwen2_5_vl", "layers=-2"),
    (count_layers_from_one, "llava", "pairs=cross,layers=0,channels=0-1,blend=0.6"),
    (take_every_layer, "llava", "layers=1"),
    (take_every_layer, "qwen2_5_vl", "pairs=cross,layers=0,channels=0-1,blend=0.6"),
    (count_depths_from_the_end, "llava", "layers=50%-100%"),
    (embed_for_the_layer_before, "llava", "layers=1"),
    (embed_for_the_layer_before, "qwen2_5_vl", "layers=1"),
    (look_from_the_other_layer, "llava", "pairs=cross,layers=0,channels=0-1,blend=0.6"),
    (look_from_the_other_layer, "qwen2_5_vl", "shares=1:3a+0:0c"),
    (swap_the_heads, "llava", "shares=0:f0"),
    (spread_over_neighbours, "llava", "pairs=cross,shares=1:0f3c5a7900e10d2b"),
    (spread_over_neighbours, "qwen2_5_vl", "pairs=cross,shares=1:0f3c5a7900e10d2b"),
    (forget_the_native_share, "llava", "pairs=text-to-image"),
    (forget_the_native_share, "llava", "blend=0.3"),
    (take_queries_for_alike, "llava", "pairs=cross"),
    (leave_the_queries_distance, "llava", "pairs=text-to-image"),
    (turn_all_channels, "llava", "channels=0,2"),
    (turn_all_channels, "qwen2_5_vl", "pairs=cross,layers=0,channels=0-1,blend=0.6"),
    (count_pairs_over_all_axes, "qwen2_5_vl", "channels=0,2"),
    (double_the_wavelength, "llava", "channels=wave<4x"),
]


@pytest.mark.parametrize(("mutation", "name", "part"), CAUGHT)
def test_a_wrong_part_is_caught(
    mutation: Callable[[pytest.MonkeyPatch], None], name: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(name, part, PARTS[part], "sdpa")
    mutation(monkeypatch)
    with pytest.raises(AssertionError):
        check(name, part, PARTS[part], "sdpa")


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
def test_forgetting_where_the_rule_had_the_cached_tokens_is_caught(attn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    history = looks._history

    def forget(*given: Any) -> Any:
        positions, placed = history(*given)
        return positions, [torch.cat([positions[:1, :, :-1], one[..., -1:].expand(1, -1, -1)], -1) for one in placed]

    monkeypatch.setattr(looks, "_history", forget)
    with pytest.raises(AssertionError):
        checks.cached_equals_recompute(FAMILIES["llava"], attn, "bapa:pairs=cross")
