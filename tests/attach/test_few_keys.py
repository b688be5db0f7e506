"""Keys that are few are met by their scores, others by longer heads: both give what is written out pair by pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import bapa
from bapa.attach import runs
from tests.attach.by_pair import SIX, expected
from tests.attach.checks import TWO_IMAGES, close, logits
from tests.tiny import FAMILIES

CROSS: dict[str, Any] = {"pairs": "cross", "blend": 0.6}
RULE = "bapa:pairs=cross,blend=0.6"
Few = Callable[[Tensor, Tensor], "Tensor | None"]


def always(weight: Tensor, key: Tensor) -> Tensor:
    return weight.any(dim=(0, 1, 3)).nonzero()[:, 0]


def never(weight: Tensor, key: Tensor) -> None:
    return None


@pytest.mark.parametrize("few", [always, never])
@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("name", SIX)
def test_scores_are_those_written_out(name: str, attn: str, few: Few, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_few", few)
    family = FAMILIES[name]
    found = logits(bapa.balance(family.build(attn=attn), RULE), family.inputs(TWO_IMAGES))
    close(found, expected(name, "bapa", **CROSS))


def states(dtype: torch.dtype, few: int, keys: int = 40) -> tuple[runs.Part, Tensor, Tensor, Any]:
    """A part that meets the first ``few`` keys, queries and keys of two rows, and how they turn."""
    generator = torch.Generator().manual_seed(0)
    query, key = (
        torch.randn(2, heads, keys, 16, generator=generator, dtype=torch.float64).to(dtype) for heads in (4, 2)
    )
    weight = torch.rand(2, 1, keys, 1, generator=generator).to(dtype)
    weight[:, :, few:] = 0
    columns = torch.arange(few)
    turn: Any = None  # nothing turns
    part = runs.Part(None, (runs.Share(weight[:, :, columns], None),), few=columns)
    return part, query, key, (weight, turn)


@pytest.mark.parametrize("few", [1, 3, 8])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-5), (torch.float16, 1e-6)])
def test_channels_hold_the_scores_as_exactly_as_products_do(few: int, dtype: torch.dtype, most: float) -> None:
    """In sixteen bits a score alone would be off by up to 1 in 256; with the rest in a channel of its own it is not."""
    part, query, key, (weight, turn) = states(dtype, few)
    asked, seen = part.scores(torch.arange(few), query, key, turn)
    assert asked.shape[-1] == seen.shape[-1]
    assert asked.shape[-1] % 8 == 0
    found = (asked.double().unflatten(1, (2, 2)) @ seen.double()[:, :, None].mT).flatten(1, 2)
    met = (weight * key).double()
    right = (query.double().unflatten(1, (2, 2)) @ met[:, :, None].mT).flatten(1, 2)
    assert torch.equal(found[..., few:], torch.zeros_like(found[..., few:]))
    assert (found - right).abs().max() <= most * right.abs().max()


@pytest.mark.parametrize(
    ("count", "dtype", "met"),
    [(8, torch.float32, 8), (9, torch.float32, None), (4, torch.bfloat16, 4), (5, torch.bfloat16, None)],
)
def test_more_keys_than_half_a_head_make_it_longer(count: int, dtype: torch.dtype, met: int | None) -> None:
    weight = torch.zeros(2, 1, 30, 1, dtype=dtype)
    weight[1, :, 5 : 5 + count] = 0.5  # in one row of the two
    columns = runs._few(weight, torch.zeros(2, 2, 30, 16, dtype=dtype))
    assert (columns is None) == (met is None)
    assert columns is None or columns.tolist() == list(range(5, 5 + count))


def take_another_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "_few", lambda weight, key: always(weight, key).flip(0).roll(1))
    ones = torch.nn.functional.one_hot
    patch.setattr(torch.nn.functional, "one_hot", lambda columns, keys: ones(columns.sort().values, keys))


def forget_the_last_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "_few", lambda weight, key: always(weight, key)[:-1])


@pytest.mark.parametrize("mutation", [take_another_key, forget_the_last_key])
def test_wrong_keys_are_caught(mutation: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    family = FAMILIES["llava"]
    found = logits(bapa.balance(family.build(), RULE), family.inputs(TWO_IMAGES))
    with pytest.raises(AssertionError):
        close(found, expected("llava", "bapa", **CROSS))
