"""The mask inside an image as an axis of its own, and AGCI, which changes features and no positions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import bapa
from bapa.errors import ModelError, SchemeError
from tests.attach import checks
from tests.attach.checks import ROWS, TWO_IMAGES, close, generate, logits, same
from tests.tiny import FAMILIES, Family
from tests.tiny.base import OLDER

LLAVA = FAMILIES["llava"]
SEEING = [
    "bapa:image_attention=bidirectional",
    "concentric:image_attention=ranked",
    "native:image_attention=bidirectional",
]


def visible(family: Family, ids: Tensor, positions: Tensor, attention: str) -> Tensor:
    """Who sees whom, pair by pair: BoolTensor (1, 1, tokens, tokens)."""
    spans = family.spans(ids)[0]
    feature = family.image_mask(ids)[0]
    length = ids.shape[1]
    seen = torch.zeros(length, length, dtype=torch.bool)
    for q in range(length):
        for k in range(length):
            together = any(s <= q < e and s <= k < e for s, e in spans) and bool(feature[q] & feature[k])
            seen[q, k] = (attention == "bidirectional" or positions[k] <= positions[q]) if together else k <= q
    return seen[None, None]


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("scheme", SEEING)
def test_the_mask_is_the_one_written_out_by_hand(scheme: str, attn: str) -> None:
    model, inputs = LLAVA.build(attn=attn), LLAVA.inputs(TWO_IMAGES)
    bapa.balance(model, scheme)
    found = logits(model, inputs)
    name, _, attention = scheme.replace("image_attention=", "").partition(":")
    bapa.balance(model, name)
    assert (logits(model, inputs) - found).abs().max() > 1e-3, "the mask changed nothing: the check could not fail"
    positions = bapa.positions(model, **inputs)[0, 0]
    mask = visible(LLAVA, inputs["input_ids"], positions, attention)
    additive = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    close(logits(model, {**inputs, "attention_mask": additive if attn == "eager" else mask}), found)


@pytest.mark.parametrize("scheme", SEEING)
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "gemma3", "idefics3"])
def test_masks_in_cached_decoding_and_padding(name: str, scheme: str) -> None:
    if "concentric" in scheme and name == "idefics3":
        pytest.skip("an image in tiles has no one grid")
    checks.cached_equals_recompute(FAMILIES[name], "sdpa", scheme)
    checks.padded_equals_alone(FAMILIES[name], "eager", scheme)


def test_a_mask_in_layers_computed_again_for_their_gradients() -> None:
    checks.checkpointing_gives_the_same_gradients(LLAVA, "sdpa", "bapa:image_attention=bidirectional")


def test_masks_are_refused_where_attention_ignores_them() -> None:
    model = LLAVA.build()
    model.config.get_text_config()._attn_implementation_internal = "flash_attention_2"
    with pytest.raises(
        SchemeError, match="flash_attention_2 attention ignores; load the model with attn_implementation="
    ):
        bapa.balance(model, "bapa", image_attention="bidirectional")


@pytest.mark.skipif(OLDER, reason="prefill in chunks loses the pictures")
def test_a_chunk_that_cuts_an_image_is_refused_under_another_mask() -> None:
    model = bapa.balance(LLAVA.build(), "bapa", image_attention="bidirectional")
    with pytest.raises(ModelError, match="a prompt chunk cuts an image"):
        generate(model, LLAVA, LLAVA.inputs(TWO_IMAGES), prefill_chunk_size=5)


def enriched(features: Tensor, strength: float) -> Tensor:
    mean = features.mean(0)
    cosine = (features @ mean) / (features.norm(dim=-1) * mean.norm())
    return features + strength * (1 - cosine)[:, None] * mean


@pytest.mark.parametrize("strength", [0, 0.5])
def test_agci_changes_features_and_nothing_else(strength: float) -> None:
    model, inputs = LLAVA.build(), LLAVA.inputs(TWO_IMAGES)
    native, places = logits(model, inputs), bapa.positions(model, **inputs)
    with torch.no_grad():
        features = model.get_image_features(pixel_values=inputs["pixel_values"])
        features = getattr(features, "pooler_output", features)
    bapa.balance(model, "agci", strength=strength)
    same(bapa.positions(model, **inputs), places)
    found = logits(model, inputs)
    bapa.restore(model)
    by_hand = model.get_input_embeddings()(inputs["input_ids"])
    by_hand[LLAVA.image_mask(inputs["input_ids"])] = torch.cat([enriched(image, strength) for image in features])
    close(model(inputs_embeds=by_hand, attention_mask=inputs["attention_mask"]).logits, found)
    assert ((found - native).abs().max() > 1e-3) == (strength > 0)


def test_agci_over_the_call_leaks_between_rows_and_over_the_image_does_not() -> None:
    checks.padded_equals_alone(LLAVA, "sdpa", "agci")
    checks.cached_equals_recompute(LLAVA, "sdpa", "agci")
    with pytest.raises(AssertionError):
        checks.padded_equals_alone(LLAVA, "sdpa", "agci:mean=call")
    assert len(ROWS) > 1
