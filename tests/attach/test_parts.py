"""A rule in a part of the model: pairs, layers, channels, blend, against attention written out pair by pair."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import bapa
from bapa.errors import ModelError, SchemeError
from bapa.schemes import parse
from bapa.schemes.part import Channels
from tests.attach import checks
from tests.attach.by_pair import SIX, expected
from tests.attach.checks import TWO_IMAGES, close, generate, logits, same
from tests.tiny import FAMILIES

PARTS: dict[str, dict[str, Any]] = {
    "pairs=cross": {"pairs": "cross"},
    "pairs=text-to-image": {"pairs": "text-to-image"},
    "layers=1": {"layers": (1,)},
    "layers=-2": {"layers": (0,)},
    "layers=50%-100%": {"layers": (1,)},
    "blend=0.3": {"blend": 0.3},
    "channels=0,2": {"numbers": (0, 2)},
    "channels=wave<4x": {"waves": lambda wave, length: wave < 4 * length},
    "channels=wave<1.5x,wave>30x": {"waves": lambda wave, length: wave < 1.5 * length or wave > 30 * length},
    "channels=1x-100x": {"waves": lambda wave, length: length < wave < 100 * length},
    "pairs=cross,layers=0,channels=0-1,blend=0.6": {
        "pairs": "cross",
        "layers": (0,),
        "numbers": (0, 1),
        "blend": 0.6,
    },
}
PARTS |= {
    "shares=0:f0": {"shares": {0: [[1.0], [0.0]]}},
    "shares=1:3a+0:0c": {"shares": {1: [[3 / 15], [10 / 15]], 0: [[0.0], [12 / 15]]}},
    "pairs=cross,shares=1:0f3c5a7900e10d2b": {
        "pairs": "cross",
        "shares": {1: [[n / 15 for n in (0, 15, 3, 12, 5, 10, 7, 9)], [n / 15 for n in (0, 0, 14, 1, 0, 13, 2, 11)]]},
    },
}
RULES = ["bapa", "calibrated:distance=0.6x,delta=0.25", "reverse"]
EVERY_PART = [pytest.param(part, told, id=part) for part, told in PARTS.items()]


def found(name: str, rule: str, part: str, attn: str = "sdpa") -> torch.Tensor:
    family = FAMILIES[name]
    model = bapa.balance(family.build(attn=attn), f"{rule}{',' if ':' in rule else ':'}{part}")
    return logits(model, family.inputs(TWO_IMAGES))


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize(("part", "told"), EVERY_PART)
@pytest.mark.parametrize("name", SIX)
def test_scores_are_those_written_out(name: str, part: str, told: dict[str, Any], attn: str) -> None:
    native = logits(FAMILIES[name].build(attn=attn), FAMILIES[name].inputs(TWO_IMAGES))
    whole = found(name, "bapa", "blend=1", attn)
    ruled = found(name, "bapa", part, attn)
    assert min((ruled - native).abs().max(), (ruled - whole).abs().max()) > 1e-4, "as native or as the whole rule"
    close(ruled, expected(name, "bapa", **told))


@pytest.mark.parametrize(("part", "told"), EVERY_PART)
@pytest.mark.parametrize("rule", RULES[1:])
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_of_other_rules(name: str, rule: str, part: str, told: dict[str, Any]) -> None:
    close(found(name, rule, part), expected(name, rule, **told))


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("part", ["layers=none", "blend=0", "channels=none", "pairs=cross,blend=0", "shares=0:00"])
@pytest.mark.parametrize("name", SIX)
def test_nothing_is_native_bit_for_bit(name: str, part: str, attn: str) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(attn=attn), family.inputs(TWO_IMAGES)
    before = logits(model, inputs)
    answer = generate(model, family, inputs)
    bapa.balance(model, f"bapa:{part}")
    same(logits(model, inputs), before)
    same(generate(model, family, inputs).sequences, answer.sequences)
    assert str(bapa.scheme_of(model)) == str(parse(f"bapa:{part}"))


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("pairs", ["cross", "text-to-image"])
@pytest.mark.parametrize("name", SIX)
def test_pairs_that_a_prompt_lacks_leave_it_native_bit_for_bit(name: str, pairs: str, attn: str) -> None:
    """A prompt without an image has no pair of text and image."""
    family = FAMILIES[name]
    model, text, shown = family.build(attn=attn), family.inputs([["t7"]]), family.inputs(TWO_IMAGES)
    before, answer, moved = logits(model, text), generate(model, family, text), logits(model, shown)
    bapa.balance(model, f"bapa:pairs={pairs}")
    same(logits(model, text), before)
    same(generate(model, family, text).sequences, answer.sequences)
    assert (logits(model, shown) - moved).abs().max() > 1e-4, "the rule changes nothing: the check could not fail"


@pytest.mark.parametrize(
    "part", ["layers=0-1", "channels=0-7", "channels=wave>0x", "blend=1,pairs=all", "layers=0--1", "shares=0:ff+1:ff"]
)
def test_everything_is_the_rule(part: str) -> None:
    if part == "channels=0-7":
        same(found("llava", "bapa", part), found("llava", "bapa", "blend=1"))
    close(found("llava", "bapa", part), found("llava", "bapa", "blend=1"))
    close(found("qwen2_5_vl", "bapa", "channels=0-2"), found("qwen2_5_vl", "bapa", "blend=1"))


LIVE = [
    "bapa:pairs=cross",
    "bapa:pairs=text-to-image,blend=0.2,layers=1",
    "bapa:blend=0.5",
    "calibrated:distance=0.6x,delta=0.25,pairs=cross,channels=0-1",
    "bapa:channels=wave<4x",
    "bapa:layers=1,channels=1x-100x",
    "bapa:distance=2.5,layers=0",
    "anchored:layers=1,blend=0.5,channels=0-1",
    "calibrated:distance=0.6x,pairs=text-to-image,shares=0:0f3c5a7900e10d2b+1:70",
]


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("scheme", LIVE)
@pytest.mark.parametrize("name", SIX)
def test_cached_decoding_and_padding(name: str, scheme: str, attn: str) -> None:
    family = FAMILIES[name]
    for check in (checks.cached_equals_recompute, checks.padded_equals_alone):
        if check.__name__ not in family.skip:
            check(family, attn, scheme)


@pytest.mark.parametrize("scheme", LIVE)
def test_it_comes_off_without_a_trace(scheme: str) -> None:
    family = FAMILIES["qwen2_5_vl"]
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    before, hooks = logits(model, inputs), checks.hook_count(model)
    bapa.balance(model, scheme)
    assert (logits(model, inputs) - before).abs().max() > 1e-4
    same(logits(bapa.restore(model), inputs), before)
    assert checks.hook_count(model) == hooks
    checks.checkpointing_gives_the_same_gradients(family, "sdpa", scheme)


MASKS = ("sofa", "native:image_attention=bidirectional", "bapa:image_attention=ranked", "bapa:image_attention=soft:0.5")


@pytest.mark.parametrize("scheme", [*LIVE, "restore", *MASKS])
def test_a_static_cache(scheme: str) -> None:
    """Its keys are more than there are columns: room for what is to come."""
    family = FAMILIES["llava"]
    model, inputs = bapa.balance(family.build(), scheme), family.inputs(TWO_IMAGES)
    whole = generate(model, family, inputs)
    static = generate(model, family, inputs, cache_implementation="static", disable_compile=True)
    close(torch.stack(static.logits), torch.stack(whole.logits))


@pytest.mark.parametrize("scheme", LIVE[:3])
def test_a_second_image_on_a_returned_cache(scheme: str) -> None:
    family = FAMILIES["llava"]
    model, inputs = bapa.balance(family.build(), scheme), family.inputs(TWO_IMAGES)
    whole = logits(model, inputs)
    end = family.spans(inputs["input_ids"])[0][0][1] + 1
    pictures, ids, mask = inputs["pixel_values"], inputs["input_ids"], inputs["attention_mask"]
    with torch.no_grad():
        one = {"input_ids": ids[:, :end], "attention_mask": mask[:, :end], "pixel_values": pictures[:1]}
        first = model(**one, use_cache=True)
        two = {"input_ids": ids[:, end:], "attention_mask": mask, "pixel_values": pictures[1:]}
        second = model(**two, past_key_values=first.past_key_values)
    close(torch.cat([first.logits, second.logits], 1), whole)


def test_vrope_in_some_pairs_and_channels() -> None:
    """Position sets dealt over the channels, in a part of the scores: the whole of it is the rule itself."""
    for name in ("llava", "qwen2_5_vl"):
        part = "blend=0.999999"  # through the attention effect, all but nothing of it native
        assert (found(name, "vrope", part) - found(name, "vrope", "blend=1")).abs().max() < 1e-3
        assert (found(name, "vrope", "blend=0.5") - found(name, "vrope", "blend=1")).abs().max() > 1e-2
    checks.cached_equals_recompute(FAMILIES["llava"], "sdpa", "vrope:pairs=cross,channels=0-3")


SEVERAL = [["t3", "image", "t4", "wide", "t2"]]


@pytest.mark.parametrize("distance", ["native", 1])
@pytest.mark.parametrize("pairs", ["all", "cross"])
@pytest.mark.parametrize(("name", "times"), [("internvl", 11), ("qwen2_5_vl", 20), ("qwen3_vl", 20)])
def test_images_of_several_lengths_have_channels_of_their_own(
    name: str, times: float, pairs: str, distance: float | str
) -> None:
    family = FAMILIES[name]
    rule = f"bapa:distance={distance}"
    scheme = f"{rule},channels=wave<{times}x,pairs={pairs}"
    model, inputs = bapa.balance(family.build(), scheme), family.inputs(SEVERAL)
    mixed = logits(model, inputs)
    right = {"words": SEVERAL, "pairs": pairs}
    close(mixed, expected(name, rule, waves=lambda wave, length: wave < times * length, **right))
    for one in (3, 4) if family.mrope else (4, 12):  # both images taken for the shorter, or the longer
        wrong = expected(name, rule, waves=lambda wave, _, one=one: wave < times * one, **right)
        assert (mixed - wrong).abs().max() > 1e-4
    model = bapa.balance(family.build(), scheme)
    answer = generate(model, family, inputs)
    prompt = inputs["input_ids"].shape[1]
    whole = logits(model, family.extend(inputs, answer.sequences[:, prompt:]))
    close(torch.cat(answer.logits), whole[0, prompt - 1 : -1].float())


def test_channels_are_told_by_wavelength() -> None:
    channels = Channels(waves=((0.0, 0.75), (4.5, math.inf)))
    assert [channels.holds(wave, 100) for wave in (74, 76, 449, 451)] == [True, False, False, True]
    assert channels.edges(frozenset({100, 10})) == [7.5, 45, 75, 450]


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        ("bapa:layers=7", "layers=7: LlavaForConditionalGeneration has layers 0 to 1"),
        ("bapa:pairs=cross", "not for flash_attention_2"),
        ("bapa:blend=0.5", "not for flash_attention_2"),
        ("bapa:shares=0:f0", "not for flash_attention_2"),
        ("native:image_attention=soft:0.5", "flash_attention_2 attention ignores"),
    ],
)
def test_what_a_model_cannot_do_is_refused_by_name(scheme: str, message: str) -> None:
    model = FAMILIES["llava"].build()
    model.config.get_text_config()._attn_implementation_internal = "flash_attention_2"
    with pytest.raises(SchemeError, match=message):
        bapa.balance(model, scheme)
    bapa.balance(model, "bapa:channels=0-3,layers=0")  # only the rotary embedding: any attention will do


@pytest.mark.parametrize("scheme", ["native:pairs=cross", "agci:layers=0", "null:blend=0.5", "sofa:pairs=cross"])
def test_a_part_of_nothing_is_refused(scheme: str) -> None:
    with pytest.raises(SchemeError, match="has nothing to apply to"):
        parse(scheme)


def test_channels_that_a_model_lacks_are_refused() -> None:
    family = FAMILIES["llava"]
    model = bapa.balance(family.build(), "bapa:channels=3-9")
    with pytest.raises(ModelError, match="channels=9: the rotary embedding has pairs 0 to 7"):
        logits(model, family.inputs(TWO_IMAGES))


def test_shares_of_a_layer_that_a_model_lacks_are_refused() -> None:
    with pytest.raises(SchemeError, match="shares name layer 2, counted from 0, and the decoder has 2"):
        bapa.balance(FAMILIES["llava"].build(), "bapa:shares=2:f0")


@pytest.mark.parametrize("digits", ["f", "f0f", "f" * 8])
def test_shares_that_do_not_fit_a_layer_are_refused(digits: str) -> None:
    family = FAMILIES["llava"]
    model = bapa.balance(family.build(), f"bapa:shares=1:{digits}")
    with pytest.raises(SchemeError, match="digits for a layer with 2 key-value heads of 8 rotary pairs"):
        logits(model, family.inputs(TWO_IMAGES))
