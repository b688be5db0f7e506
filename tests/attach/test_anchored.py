"""DIPE and EDVT: scores that depend on the kind of key, against attention written out pair by pair."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import bapa
from bapa import layout as layouts
from bapa.attach import attention, hooks, turning
from bapa.attach.state import State
from bapa.errors import ModelError, SchemeError
from bapa.families.anatomy import find
from bapa.schemes import anchored
from tests.attach import checks
from tests.attach.checks import TWO_IMAGES, close, generate, logits, same
from tests.tiny import FAMILIES, Family
from tests.tiny.base import OLDER

RULES = ["anchored", "anchored:rule=edvt"]
PLAIN = ["llava", "qwen2_5_vl"]
# Rotary in halves; neighbours; in some layers only; behind the other channels; with windows; in part of the channels.
SHAPES = ["gemma3", "aya_vision", "llama4", "exaone4_5", "kimi_k25", "qwen3_5", "glm4v", "idefics3", "paligemma"]


def distances(family: Family, ids: Tensor, native: Tensor, rule: str) -> Tensor:
    """How far query i stands from key j, pair by pair: (axes, tokens, tokens)."""
    image = family.image_mask(ids)[0].tolist()
    length = len(image)
    start = [max(k for k in range(i + 1) if k == 0 or image[k] != image[k - 1]) for i in range(length)]
    found = torch.zeros(len(native), length, length)
    for i in range(length):
        for j in range(length):
            across = image[i] != image[j]
            if rule == "edvt" and across and image[j]:
                continue  # without rotary: as if at distance 0
            where = start[i] if rule == "dipe" and across else i
            found[:, i, j] = native[:, 0, where] - native[:, 0, j]
    return found


def by_hand(module: nn.Module, frequency: Tensor, apart: Tensor) -> Callable[..., tuple[Tensor, None]]:
    """The forward of a Llama or Qwen attention: complex numbers for rotary pairs, every pair turned by its distance.

    ``frequency``: (pairs,); ``apart``: (pairs, tokens, tokens).
    """

    def forward(hidden_states: Tensor, **_: Any) -> tuple[Tensor, None]:
        length = hidden_states.shape[1]
        heads = [
            projection(hidden_states).view(length, -1, module.head_dim).transpose(0, 1)
            for projection in (module.q_proj, module.k_proj, module.v_proj)
        ]
        query, key, value = (h.repeat_interleave(4 // len(h), 0) for h in heads)
        q, k = (torch.complex(*h.split(module.head_dim // 2, -1)) for h in (query, key))
        turn = torch.polar(torch.ones_like(apart), frequency[:, None, None] * apart)
        scores = torch.einsum("hid,hjd,dij->hij", q, k.conj(), turn).real / module.head_dim**0.5
        hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(hidden, -torch.inf).softmax(-1)
        return module.o_proj((weights @ value).transpose(0, 1).reshape(1, length, -1)), None

    return forward


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("rule", ["dipe", "edvt"])
@pytest.mark.parametrize("name", PLAIN)
def test_scores_are_those_written_out_by_hand(name: str, rule: str, attn: str) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(attn=attn), family.inputs(TWO_IMAGES)
    native, positions = logits(model, inputs), bapa.positions(model, **inputs)
    found = logits(bapa.balance(model, "anchored", rule=rule), inputs)
    assert (found - native).abs().max() > 1e-2, "the rule changed nothing: the check could not fail"
    bapa.restore(model)
    apart = distances(family, inputs["input_ids"], positions, rule)
    anatomy = find(model)
    frequency = anatomy.rotaries[0].inv_freq
    sections = [2, 3, 3] if family.mrope else [len(frequency)]
    axis = torch.arange(len(sections)).repeat_interleave(torch.tensor(sections))
    for layer in anatomy.layers:
        layer.self_attn.forward = by_hand(layer.self_attn, frequency, apart[axis])
    close(logits(model, {**inputs, "use_cache": False}), found)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", [*PLAIN, *SHAPES])
def test_cached_and_padded(name: str, rule: str) -> None:
    if reason := FAMILIES[name].skip.get("cached_equals_recompute"):
        pytest.skip(f"native quirk: {reason}")
    checks.cached_equals_recompute(FAMILIES[name], "sdpa", rule)
    checks.padded_equals_alone(FAMILIES[name], "eager", rule)


@pytest.mark.parametrize("name", ["llava", "kimi_k25", "aya_vision"])
def test_it_comes_off_without_a_trace(name: str) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    before, hooks = logits(model, inputs), checks.hook_count(model)
    configs = [m.__dict__.get("config") for m in model.modules()]
    bapa.balance(model, "anchored")
    assert (logits(model, inputs) - before).abs().max() > 1e-2
    bapa.restore(model)
    same(logits(model, inputs), before)
    assert checks.hook_count(model) == hooks
    assert all(a is b for a, b in zip(configs, (m.__dict__.get("config") for m in model.modules()), strict=True))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", PLAIN)
def test_chunks_beams_and_a_static_cache(name: str, rule: str) -> None:
    family = FAMILIES[name]
    model, inputs = bapa.balance(family.build(), rule), family.inputs(TWO_IMAGES)
    whole = generate(model, family, inputs)
    chunks = [] if OLDER else [{"prefill_chunk_size": 5}]  # transformers 4 loses the pictures
    for options in (*chunks, {"cache_implementation": "static", "disable_compile": True}):
        other = generate(model, family, inputs, **options)
        close(torch.stack(other.logits), torch.stack(whole.logits))
    kept, afresh = (generate(model, family, inputs, num_beams=3, use_cache=use) for use in (True, False))
    same(kept.sequences, afresh.sequences)


@pytest.mark.parametrize("rule", RULES)
def test_a_second_image_on_a_returned_cache(rule: str) -> None:
    family = FAMILIES["llava"]
    model, inputs = bapa.balance(family.build(), rule), family.inputs(TWO_IMAGES)
    whole = logits(model, inputs)
    first_end = family.spans(inputs["input_ids"])[0][0][1]
    cache, answers = None, []
    # Picture, one word, two words and the next picture, the rest: segments that go on over every seam.
    pictures = inputs["pixel_values"]
    for start, stop, pixels in (
        (0, first_end, pictures[:1]),
        (first_end, first_end + 2, None),
        (first_end + 2, None, pictures[1:]),
    ):
        ids = inputs["input_ids"][:, start:stop]
        mask = inputs["attention_mask"][:, : start + ids.shape[1]]
        more = {} if pixels is None else {"pixel_values": pixels}
        with torch.no_grad():
            out = model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **more)
        cache = out.past_key_values
        answers.append(out.logits)
    close(torch.cat(answers, 1), whole)


def test_text_alone_and_copies() -> None:
    family = FAMILIES["llava"]
    model, words = family.build(), family.inputs([["t7"]])
    before = logits(model, words)
    bapa.balance(model, "anchored")
    same(logits(model, words), before)
    checks.checkpointing_gives_the_same_gradients(family, "sdpa", "anchored")


def test_a_copy_is_on_its_own() -> None:
    family = FAMILIES["llava"]
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    before = logits(model, inputs)
    anchored = logits(bapa.balance(model, "anchored"), inputs)
    twin = copy.deepcopy(model)
    bapa.restore(model)
    same(logits(twin, inputs), anchored)
    same(logits(model, inputs), before)
    same(logits(bapa.restore(twin), inputs), before)


def native_across(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(anchored, "anchors", lambda tokens: tokens.positions)


def last_token_of_a_segment(patch: pytest.MonkeyPatch) -> None:
    first = anchored.anchors
    patch.setattr(anchored, "anchors", lambda tokens: first(tokens) + 1)


def turn_the_other_way(patch: pytest.MonkeyPatch) -> None:
    angles = turning.angles
    patch.setattr(attention.AttentionHook, "_try", lambda *_: turning.Turn("halves", sections=(2, 3, 3)))
    patch.setattr(turning, "angles", lambda *given: ((a := angles(*given))[0], -a[1]))


def swap_the_kinds(patch: pytest.MonkeyPatch) -> None:
    where = torch.where
    patch.setattr(torch, "where", lambda kind, a, b: where(~kind if kind.dim() == 4 else kind, a, b))


@pytest.mark.parametrize("mutation", [native_across, last_token_of_a_segment, turn_the_other_way, swap_the_kinds])
def test_a_wrong_rule_is_caught_by_hand(
    mutation: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation(monkeypatch)
    with pytest.raises(AssertionError):
        test_scores_are_those_written_out_by_hand("qwen2_5_vl", "dipe", "eager")


@pytest.mark.parametrize("forgotten", ["anchor", "image"])
def test_forgetting_what_is_cached_is_caught(forgotten: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(*given: Any) -> State:
        state = State(*given)
        if forgotten == "image":
            return replace(state, layout=layouts.text(state.layout.rows, state.layout.columns))
        return replace(state, positions=state.positions + 2)

    monkeypatch.setattr(hooks, "State", forget)
    with pytest.raises(AssertionError):
        checks.cached_equals_recompute(FAMILIES["llava"], "sdpa", "anchored")


def test_refusals() -> None:
    model = FAMILIES["llava"].build()
    words = model.config.get_text_config()
    words._attn_implementation_internal = "flash_attention_2"
    with pytest.raises(SchemeError, match="right for sdpa and eager attention and not for flash_attention_2"):
        bapa.balance(model, "anchored")
    words._attn_implementation_internal = "sdpa"
    bapa.balance(model, "anchored")
    words._attn_implementation_internal = "flash_attention_2"
    with pytest.raises(ModelError, match="not for flash_attention_2"):
        logits(model, FAMILIES["llava"].inputs(TWO_IMAGES))
    words._attn_implementation_internal = "sdpa"
    bapa.restore(model)
    find(model).rotaries[0].rope_type = "dynamic"
    with pytest.raises(SchemeError, match="dynamic rotary frequencies change with the length"):
        bapa.balance(model, "anchored")


def test_channels_scaled_after_they_were_turned_are_refused_at_once() -> None:
    """HunyuanVL normalises queries behind the rotary embedding: turning them further is another thing."""
    model = FAMILIES["hunyuan_vl"].build()
    with pytest.raises(SchemeError, match="hunyuan_vl scales their channels after it has turned them"):
        bapa.balance(model, "anchored")
    assert bapa.scheme_of(model) is None
    assert not checks.hook_count(bapa.restore(model))


def test_an_attention_that_turns_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turning, "_candidates", lambda *_: iter(()))
    model, inputs = FAMILIES["llava"].build(), FAMILIES["llava"].inputs(TWO_IMAGES)
    before = logits(model, inputs)
    bapa.balance(model, "anchored")
    with pytest.raises(ModelError, match="turns its queries in a way this release does not know"):
        logits(model, inputs)
    same(logits(bapa.restore(model), inputs), before)
