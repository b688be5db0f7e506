"""Keys that are few are met by their scores, others by longer heads: both give what is written out pair by pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import bapa
from bapa.attach import runs
from bapa.attach.turning import Turn
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


@pytest.mark.parametrize("few", [1, 3, 8])
def test_channels_hold_the_scores(few: int) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(2, heads, 40, 16, generator=generator) for heads in (4, 2))
    weight = torch.rand(2, 1, few, 1, generator=generator)
    columns, turn = torch.arange(few) + 5, Turn("none")
    found = runs.Part(None, (runs.Share(weight, None),), few=columns).scores(query, key, turn)
    assert found is not None
    asked, seen = found
    assert asked.shape[-1] == seen.shape[-1] == 8
    scores = (asked.unflatten(1, (2, 2)) @ seen[:, :, None].mT).flatten(1, 2)
    met = torch.zeros_like(key).index_copy(2, columns, weight * key[:, :, columns])
    assert torch.allclose(scores, (query.unflatten(1, (2, 2)) @ met[:, :, None].mT).flatten(1, 2), atol=1e-5)


@pytest.mark.parametrize(
    ("count", "dtype", "met"), [(8, torch.float32, True), (9, torch.float32, False), (1, torch.bfloat16, False)]
)
def test_many_keys_and_sixteen_bits_make_heads_longer(count: int, dtype: torch.dtype, met: bool) -> None:
    """A score is a sum of products that kernels add up in 32 bits: 16 would round it, and float16 ends at 65504."""
    weight = torch.zeros(2, 1, 30, 1, dtype=dtype)
    weight[1, :, 5 : 5 + count] = 0.5  # in one row of the two
    key = torch.zeros(2, 2, 30, 16, dtype=dtype)
    columns = runs._few(weight, key)
    assert (columns is not None) == met
    assert columns is None or columns.tolist() == list(range(5, 5 + count))
    with torch.autocast("cpu", torch.bfloat16):
        assert runs._few(weight, key) is None


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_gradients_are_those_of_longer_heads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family, found = FAMILIES[name], []
    for few in (always, never):
        monkeypatch.setattr(runs, "_few", few)
        model = bapa.balance(family.build(), RULE)
        model(**family.inputs(TWO_IMAGES)).logits.square().mean().backward()
        found.append({key: one.grad for key, one in model.named_parameters() if one.grad is not None})
    assert found[0].keys() == found[1].keys()
    for key, gradient in found[0].items():
        close(gradient, found[1][key])


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
