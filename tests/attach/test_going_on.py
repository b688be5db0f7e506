"""Going on from a cache: with text of its own, in chunks, in a padded turn; as the whole prompt reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import DynamicCache

import bapa
from bapa.errors import ModelError
from tests.attach.checks import TWO_IMAGES, generate, logits, seen
from tests.tiny import FAMILIES

MROPE = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")


def further(model: Any, cache: DynamicCache, ids: torch.Tensor, tokens: int) -> Any:
    return model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        past_key_values=cache,
        max_new_tokens=tokens,
        suppress_tokens=list(range(100, 128)),
        output_logits=True,
        return_dict_in_generate=True,
    )


def apart(one: Any, other: Any) -> float:
    return max(float((x - y).abs().max()) for x, y in zip(one.logits, other.logits, strict=True))


@pytest.mark.parametrize("scheme", ["native", "bapa", "bapa:distance=native", "calibrated:distance=4,delta=0.5"])
@pytest.mark.parametrize("name", MROPE)
def test_another_question_on_a_cropped_cache_stands_where_the_whole_prompt_has_it(name: str, scheme: str) -> None:
    family = FAMILIES[name]
    first = family.inputs([["t3", "image", "t6"]])
    other = {**first, "input_ids": first["input_ids"].clone()}
    other["input_ids"][:, -4:] = torch.tensor([11, 12, 13, 14])
    model = bapa.balance(family.build(), scheme)
    with seen(model) as whole:
        wanted = generate(model, family, other, max_new_tokens=2)
    cache = model(**first, use_cache=True).past_key_values
    cache.crop(-4)
    with seen(model) as found, torch.no_grad():
        got = further(model, cache, other["input_ids"], 2)
    assert torch.equal(found[0][0, 0], whole[0][0, 0, -4:])
    assert apart(got, wanted) < 1e-4


@pytest.mark.parametrize("scheme", ["native", "bapa", "bapa:pairs=cross", "imccd", "anchored", "restore"])
@pytest.mark.parametrize("name", MROPE)
def test_text_goes_on_from_a_returned_cache_as_without_a_break(name: str, scheme: str) -> None:
    family = FAMILIES[name]
    prompt = family.inputs([["t3", "image", "t6"]])
    model, cache = bapa.balance(family.build(), scheme), DynamicCache()
    wanted = generate(model, family, prompt, max_new_tokens=4)
    begun = generate(model, family, prompt, max_new_tokens=2, past_key_values=cache)
    assert torch.equal(further(model, cache, begun.sequences, 2).sequences, wanted.sequences)


@pytest.mark.parametrize("scheme", ["bapa", "bapa:channels=0-1"])
def test_going_on_in_another_block_leaves_fresh_prompts_as_they_are(scheme: str) -> None:
    family = FAMILIES["qwen2_5_vl"]
    model, cache, prompt = family.build(), DynamicCache(), family.inputs([["t3", "image", "t6"]])
    wanted = logits(bapa.balance(model, scheme), prompt)
    bapa.restore(model)
    with bapa.balanced(model, scheme):
        begun = generate(model, family, prompt, max_new_tokens=2, past_key_values=cache)
    with bapa.balanced(model, scheme):
        further(model, cache, begun.sequences, 2)
        assert torch.allclose(logits(model, prompt), wanted, atol=1e-5)


@pytest.mark.parametrize("scheme", ["bapa", "bapa:distance=native", "bapa:channels=wave<3x"])
@pytest.mark.parametrize("name", ["llava", *MROPE])
def test_native_distances_and_wavelengths_hold_in_chunks(name: str, scheme: str) -> None:
    family = FAMILIES[name]
    model, prompt = bapa.balance(family.build(), scheme), family.inputs(TWO_IMAGES)
    with seen(model) as one:
        whole = generate(model, family, prompt, max_new_tokens=2)
    with seen(model) as cut:
        chunks = generate(model, family, prompt, max_new_tokens=2, prefill_chunk_size=5)
    columns = prompt["input_ids"].shape[1]
    positions = torch.cat([each.expand(len(one[0]), *each.shape[1:]) for each in cut], -1)[..., :columns]
    if "channels" not in scheme:
        assert torch.equal(positions, one[0])
    assert apart(whole, chunks) < 1e-4


def test_a_further_image_keeps_the_native_distance_of_the_cached_one() -> None:
    family = FAMILIES["minicpmv4_6"]
    model = bapa.balance(family.build(), "bapa:distance=native")
    words = ["t3", "image", "t2", "t2", "image", "t2"]
    first, second, whole = (family.inputs([one]) for one in (words[:3], words[3:], words))
    with seen(model) as found, torch.no_grad():
        cache = model(**first, use_cache=True).past_key_values
        model(**{**second, "attention_mask": whole["attention_mask"]}, past_key_values=cache)
    assert torch.equal(torch.cat(found, -1), bapa.positions(model, **whole))


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_a_chunk_that_cuts_an_image_is_refused_where_its_mean_counts(name: str) -> None:
    family = FAMILIES[name]
    model, prompt = bapa.balance(family.build(), "agci"), family.inputs(TWO_IMAGES)
    with pytest.raises(ModelError, match="a prompt chunk cuts an image"):
        generate(model, family, prompt, max_new_tokens=2, prefill_chunk_size=5)


@pytest.mark.parametrize("scheme", ["native", "bapa:pairs=cross", "anchored"])
def test_hidden_columns_behind_an_image_change_nothing(scheme: str) -> None:
    family = FAMILIES["llava"]
    model, prompt = bapa.balance(family.build(), scheme), family.inputs([["t3", "image", "t4"]])
    ids, end = prompt["input_ids"], int(family.image_mask(prompt["input_ids"])[0].nonzero().max()) + 1
    padded = torch.cat([ids[:, :end], ids.new_zeros(1, 2), ids[:, end:]], 1)
    mask = torch.ones_like(padded)
    mask[:, end : end + 2] = 0
    at = (mask.cumsum(-1) - 1).masked_fill(mask == 0, 1)
    pixels = prompt["pixel_values"]
    with torch.no_grad():
        found = model(input_ids=padded, attention_mask=mask, position_ids=at, pixel_values=pixels).logits
        wanted = model(input_ids=ids, pixel_values=pixels).logits
    assert torch.allclose(found[0, mask[0].bool()], wanted[0], atol=1e-4)


@pytest.mark.parametrize("scheme", ["native", "bapa:pairs=cross", "anchored"])
def test_a_padded_turn_of_text_on_a_cache_reads_as_the_row_alone(scheme: str) -> None:
    family = FAMILIES["llava"]
    model = bapa.balance(family.build(), scheme)
    first, second = family.inputs([["t2", "image", "t3"], ["t4"]]), torch.tensor([[0, 0, 0, 5], [6, 7, 8, 9]])
    ids = torch.cat([first["input_ids"], second], 1)
    mask = torch.cat([first["attention_mask"], (second > 0).long()], 1)
    at, columns = (mask.cumsum(-1) - 1).clamp(min=0), first["input_ids"].shape[1]
    cache = DynamicCache(config=model.config.get_text_config())
    with torch.no_grad():
        model(**first, position_ids=at[:, :columns], past_key_values=cache)
        found = model(input_ids=second, attention_mask=mask, position_ids=at[:, columns:], past_key_values=cache).logits
        alone = ids[0, mask[0].bool()][None]
        wanted = model(input_ids=alone, pixel_values=first["pixel_values"]).logits
    assert torch.allclose(found[0, -1], wanted[0, -1], atol=1e-4)
