"""IMCCD, CMPC, RESTORE and SoFA against their formulas written out, on one-axis and M-RoPE models."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import bapa
from bapa.attach import layers
from bapa.errors import ModelError, SchemeError
from bapa.families.anatomy import find
from bapa.schemes import names, parse, table
from tests.attach import checks
from tests.attach.by_pair import AXES, ONE_AXIS, Pairwise, causal, expected, written_out
from tests.attach.checks import TWO_IMAGES, close, logits, same
from tests.tiny import FAMILIES

NAMED = ["imccd", "cmpc", "restore", "sofa"]


def found(name: str, scheme: str, attn: str = "sdpa") -> Tensor:
    family = FAMILIES[name]
    return logits(bapa.balance(family.build(attn=attn), scheme), family.inputs(TWO_IMAGES))


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_imccd_is_bapa_in_a_part(name: str, attn: str) -> None:
    part = {"pairs": "text-to-image", "blend": 0.2, "layers": (0, 1)}  # of layers 0 to 5 a tiny model has two
    close(found(name, "imccd", attn), expected(name, "bapa", **part))
    same(found(name, "imccd", attn), found(name, "bapa:pairs=text-to-image,blend=0.2,layers=0-5", attn))
    close(found(name, "imccd:blend=1", attn), expected(name, "bapa", **{**part, "blend": 1}))


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_cmpc_compresses_in_the_same_part(name: str) -> None:
    """Positions by hand for llava: two images of nine tokens, each taking up half as much."""
    part = {"pairs": "text-to-image", "blend": 0.2, "layers": (0, 1)}
    whole = "cmpc:pairs=all,layers=all,blend=1"
    close(found(name, "cmpc"), expected(name, whole, **part))
    assert (found(name, "cmpc") - found(name, "imccd")).abs().max() > 1e-4
    if name == "llava":
        family = FAMILIES[name]
        shown = bapa.positions(bapa.balance(family.build(), whole), **family.inputs([["t2", "image", "t2"]]))[0, 0]
        start = shown[0]
        steps = [0, *range(1, len(shown) - 11)]
        image = [steps[-1] + 1 + k / 2 for k in range(9)]
        assert (shown - start).tolist() == [*steps, *image, image[0] + 4.5, image[0] + 5.5]


def mean_cosine(name: str, apart: Tensor, frequency: Tensor) -> Tensor:
    """``apart``: (axes, tokens, tokens), how far query and key stand from each other."""
    axis = AXES.get(name, ONE_AXIS)[0]
    return torch.stack([(frequency[j] * apart[a]).cos() for j, a in enumerate(axis)]).mean(0)


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("scheme", ["restore", "restore:s=2,c=3", "restore:blend=0.5", "restore:layers=1"])
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "qwen3_vl"])
def test_restore_gives_back_the_decay(name: str, scheme: str, attn: str) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    native = logits(model, inputs)
    where = bapa.positions(model, **inputs)[:, 0].double()
    cosine = mean_cosine(name, where[:, :, None] - where[:, None], find(model).rotaries[0].inv_freq.double())
    image = family.image_mask(inputs["input_ids"])[0]
    s, c = (2, 3) if "s=2" in scheme else (1, 2)
    bias = (0.5 if "blend" in scheme else 1) * (s * (c - cosine)).log() * image
    nothing = torch.zeros_like(cosine)
    told = Pairwise(nothing, nothing.expand(8, -1, -1), causal(len(image)).double() + bias)
    with written_out(model, dict.fromkeys((1,) if "layers" in scheme else (0, 1), told)):
        right = logits(model, {**inputs, "use_cache": False})
    assert (right - native).abs().max() > 1e-3
    close(found(name, scheme, attn), right)


def test_a_near_key_weighs_what_it_did_and_a_far_one_more() -> None:
    given = parse("restore").given_back(torch.tensor([1.0, 0.5, 0.0, -0.2]))
    assert given.exp().tolist() == pytest.approx([1, 1.5, 2, 2.2])


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize(
    ("scheme", "sigma", "on"),
    [("sofa", 0.5, (0,)), ("sofa:sigma=0.2,layers=all", 0.2, (0, 1)), ("native:image_attention=soft:1", 1, (0, 1))],
)
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "idefics3"])
def test_sofa_lets_image_tokens_see_later_ones(
    name: str, scheme: str, sigma: float, on: tuple[int, ...], attn: str
) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    native = logits(model, inputs)
    image = family.image_mask(inputs["input_ids"])[0]
    mask = causal(len(image))
    mask[(image[:, None] & image) & mask.isinf()] = math.log(sigma)
    nothing = torch.zeros(8, len(image), len(image))
    with written_out(model, dict.fromkeys(on, Pairwise(nothing[0], nothing, mask))):
        right = logits(model, {**inputs, "use_cache": False})
    assert (right - native).abs().max() > 1e-3
    close(found(name, scheme, attn), right)


def test_soft_and_bidirectional_meet_on_one_image() -> None:
    family = FAMILIES["llava"]
    inputs = family.inputs([["t3", "image", "t4"]])
    one, other = (
        logits(bapa.balance(family.build(), f"bapa:image_attention={mask}"), inputs)
        for mask in ("soft:1", "bidirectional")
    )
    close(one, other)


@pytest.mark.parametrize("scheme", [*NAMED, "bapa:image_attention=soft:0.3,layers=1", "restore:pairs=text-to-image"])
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "gemma3", "idefics3"])
def test_cached_decoding_and_padding(name: str, scheme: str) -> None:
    family = FAMILIES[name]
    for check, attn in ((checks.cached_equals_recompute, "sdpa"), (checks.padded_equals_alone, "eager")):
        if check.__name__ not in family.skip:
            check(family, attn, scheme)


@pytest.mark.parametrize("scheme", NAMED)
def test_they_come_off_without_a_trace(scheme: str) -> None:
    family = FAMILIES["llava"]
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    before = logits(model, inputs)
    bapa.balance(model, scheme)
    same(logits(bapa.restore(model), inputs), before)
    checks.checkpointing_gives_the_same_gradients(family, "sdpa", scheme)


def test_an_image_that_cannot_be_seen_any_more_is_refused() -> None:
    family = FAMILIES["llava"]
    model, inputs = bapa.balance(family.build(), "sofa"), family.inputs(TWO_IMAGES)
    ids, pictures, end = inputs["input_ids"], inputs["pixel_values"], family.spans(inputs["input_ids"])[0][0][1] + 1
    with torch.no_grad():
        first = model(input_ids=ids[:, :end], pixel_values=pictures[:1], use_cache=True)
        with pytest.raises(ModelError, match="a further image comes behind a cached one"):
            model(input_ids=ids[:, end:], pixel_values=pictures[1:], past_key_values=first.past_key_values)


def test_sofa_brings_its_own_mask() -> None:
    with pytest.raises(SchemeError, match="sofa brings a mask of its own"):
        parse("sofa:image_attention=bidirectional")


def test_who_was_first_is_said() -> None:
    papers = {row.name: row.paper for row in table()}
    assert set(NAMED) <= set(names())
    assert "2501.01926" in papers["imccd"]
    assert "2501.01926" in papers["cmpc"]
    assert "IMCCD" in papers["bapa"]


@pytest.mark.parametrize("wrong", ["sigma", "every layer"])
def test_a_wrong_mask_is_caught(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    softened = layers.softened
    if wrong == "sigma":
        half = lambda mask, image, past, sigma, keys: softened(mask, image, past, sigma / 2, keys)  # noqa: E731
        monkeypatch.setattr(layers, "softened", half)
        with pytest.raises(AssertionError):
            test_sofa_lets_image_tokens_see_later_ones("llava", "sofa", 0.5, (0,), "sdpa")
    else:
        with pytest.raises(AssertionError):
            test_sofa_lets_image_tokens_see_later_ones("llava", "sofa:layers=all", 0.5, (0,), "sdpa")
