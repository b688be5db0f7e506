"""Moving features and positions inside running models of several families."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import bapa
from bapa.errors import ModelError
from bapa.families.anatomy import find
from bapa.origin.rewire import rewired
from tests.attach.checks import hook_count, seen
from tests.tiny import FAMILIES

NAMES = ("llava", "llava_next", "qwen2_5_vl", "gemma3", "internvl", "qwen3_vl")
PROMPTS = [["t3", "image", "t4"], ["t5", "image", "t4"]]


def last(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        return model(**inputs).logits[:, -1]


def swapped(tokens: int, one: int, two: int) -> Tensor:
    order = torch.arange(tokens)
    order[[one, two]] = order[[two, one]]
    return order


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("name", NAMES)
def test_moving_tokens_with_their_positions_changes_nothing_where_all_see_all(name: str, attn: str) -> None:
    """Attention does not know the order of its keys: features and positions moved together leave every answer as it
    was, once the mask inside the image is taken out. Either alone changes it.
    """
    family = FAMILIES[name]
    model, inputs = family.build(attn), family.inputs(PROMPTS)
    bapa.balance(model, "native", image_attention="bidirectional")
    before = last(model, inputs)
    tokens = int(family.image_mask(inputs["input_ids"])[0].sum())
    order = swapped(tokens, 0, tokens - 2).repeat(2, 1)
    flat = order + torch.tensor([[0], [tokens]])
    with rewired(model, flat, order):
        both = last(model, inputs)
    assert torch.allclose(both, before, atol=2e-4 * float(before.abs().max()))
    for features, positions in ((flat, None), (None, order)):
        with rewired(model, features, positions):
            assert float((last(model, inputs) - before).abs().max()) > 1e-2
    assert torch.equal(last(model, inputs), before)


@pytest.mark.parametrize("name", NAMES)
def test_positions_move_and_nothing_else(name: str) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(), family.inputs(PROMPTS)
    mask = family.image_mask(inputs["input_ids"])
    order = torch.stack([swapped(int(mask[0].sum()), 0, 3), swapped(int(mask[0].sum()), 1, 2)])
    with seen(model) as before:
        last(model, inputs)
    with rewired(model, positions=order), seen(model) as after:
        last(model, inputs)
    native, moved = (one.expand(-1, 2, -1) for one in (*before, *after))
    for row in range(2):
        columns = mask[row].nonzero().flatten()
        assert torch.equal(moved[:, row, columns], native[:, row, columns[order[row]]])
        rest = (~mask[row]).nonzero().flatten()
        assert torch.equal(moved[:, row, rest], native[:, row, rest])


@pytest.mark.parametrize("name", NAMES)
def test_patching_a_whole_picture_in_is_showing_that_picture(name: str) -> None:
    """All features of row 0 put into row 1 give what row 1's text gets with row 0's picture."""
    family = FAMILIES[name]
    model, inputs = family.build(), family.inputs(PROMPTS)
    tokens = int(family.image_mask(inputs["input_ids"])[0].sum())
    donated = torch.arange(tokens).repeat(2, 1)
    other = {**inputs}
    pixels = inputs["pixel_values"]
    other["pixel_values"] = torch.cat([pixels[: len(pixels) // 2]] * 2)
    with rewired(model, donated):
        found = last(model, inputs)
    assert torch.allclose(found, last(model, other), atol=1e-4 * float(found.abs().max()))
    assert float((found - last(model, inputs)).abs().max()) > 1e-2


def test_nothing_moved_is_an_error_and_hooks_go_in_any_case() -> None:
    model = FAMILIES["llava"].build()
    before = hook_count(model)
    order = torch.arange(9)[None]
    text = {"input_ids": torch.tensor([[5, 6, 7]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)}
    with pytest.raises(ModelError, match="features and positions of Llava"), rewired(model, order, order):
        model(**text)
    assert hook_count(model) == before
    with pytest.raises(RuntimeError, match="inside"), rewired(model, order):
        raise RuntimeError("inside")
    assert hook_count(model) == before
    assert find(model).outer is not None
