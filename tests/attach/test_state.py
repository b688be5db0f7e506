"""State belongs to a generation: caches that are cropped, chunked, copied and continued; threads; wrapped models."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

import bapa
from bapa.attach import state
from bapa.errors import ModelError
from tests.attach.checks import STEPS, TWO_IMAGES, close, generate, logits, same, seen, watch
from tests.tiny import FAMILIES
from tests.tiny.base import OLDER

ONE_AXIS, THREE_AXES = FAMILIES["llava"], FAMILIES["qwen2_5_vl"]


def chunk(inputs: dict[str, Tensor], start: int, stop: int, **more: object) -> dict[str, object]:
    return {
        "input_ids": inputs["input_ids"][:, start:stop],
        "attention_mask": inputs["attention_mask"][:, :stop],
        "use_cache": True,
        **more,
    }


@pytest.mark.parametrize("scheme", ["bapa", "bapa:distance=2.5", "bapa:distance=native"])
def test_a_second_image_on_a_returned_cache(scheme: str) -> None:
    model = bapa.balance(ONE_AXIS.build(), scheme)
    inputs = ONE_AXIS.inputs(TWO_IMAGES)
    whole, places = logits(model, inputs), watch(model, inputs)
    seam = ONE_AXIS.spans(inputs["input_ids"])[0][0][1] + 2  # two text tokens behind the first image
    pictures = inputs["pixel_values"]
    with seen(model) as record, torch.no_grad():
        first = model(**chunk(inputs, 0, seam, pixel_values=pictures[:1]))
        second = model(
            **chunk(inputs, seam, inputs["input_ids"].shape[1], pixel_values=pictures[1:]),
            past_key_values=first.past_key_values,
        )
    same(torch.cat(record, -1), places)
    close(torch.cat([first.logits, second.logits], 1), whole)


@pytest.mark.skipif(OLDER, reason="prefill in chunks loses the pictures")
@pytest.mark.parametrize("family", [ONE_AXIS, THREE_AXES], ids=["llava", "qwen2_5_vl"])
def test_prefill_in_chunks_that_cut_an_image(family: object) -> None:
    model = bapa.balance(family.build())
    inputs = family.inputs(TWO_IMAGES)
    whole = generate(model, family, inputs)
    for size in (3, 5):
        with seen(model) as record:
            chunked = generate(model, family, inputs, prefill_chunk_size=size)
        same(chunked.sequences, whole.sequences)
        assert len(record) > STEPS, "the prompt was not cut: the check could not fail"
        close(torch.stack(chunked.logits), torch.stack(whole.logits))


@pytest.mark.parametrize("family", [ONE_AXIS, THREE_AXES], ids=["llava", "qwen2_5_vl"])
@pytest.mark.parametrize("back", [1, 4, 8])
def test_a_cache_cropped_back_goes_on_where_it_stands(family: object, back: int) -> None:
    model = bapa.balance(family.build())
    inputs = family.inputs([["t3", "image", "t9"]])
    length = inputs["input_ids"].shape[1]
    with seen(model) as record, torch.no_grad():
        cache = model(**inputs, use_cache=True).past_key_values
        cache.crop(-back)
        tail = inputs["input_ids"][:, length - back :]
        positions = record[0].amax() - back + 1 + torch.arange(back)
        model(
            input_ids=tail,
            attention_mask=inputs["attention_mask"],
            position_ids=positions.expand(*record[0].shape[:-1], -1) if family.mrope else None,
            past_key_values=cache,
        )
    same(record[1].expand_as(record[0][..., -back:]), record[0][..., -back:])


def test_a_copied_prefix_serves_several_questions() -> None:
    model = bapa.balance(ONE_AXIS.build())
    inputs = ONE_AXIS.inputs([["t3", "image", "t6"]])
    length = inputs["input_ids"].shape[1]
    whole = logits(model, inputs)
    with torch.no_grad():
        prefix = model(**chunk(inputs, 0, length - 4, pixel_values=inputs["pixel_values"])).past_key_values
        for _ in range(2):
            answer = model(**chunk(inputs, length - 4, length), past_key_values=copy.deepcopy(prefix))
            close(answer.logits, whole[:, -4:])
        prefix.batch_repeat_interleave(3)
        many = {
            key: value.repeat_interleave(3, 0)
            for key, value in chunk(inputs, length - 4, length).items()
            if key != "use_cache"
        }
        close(model(**many, past_key_values=prefix).logits, whole[:, -4:].expand(3, -1, -1))


def test_a_cache_filled_under_another_rule_is_refused() -> None:
    model, inputs = ONE_AXIS.build(), ONE_AXIS.inputs([["t2", "image", "t4"]])
    tail = {"input_ids": inputs["input_ids"][:, -1:]}
    native = model(**inputs, use_cache=True).past_key_values
    bapa.balance(model)
    with pytest.raises(ModelError, match="filled before the model was balanced"):
        model(**tail, past_key_values=native)
    balanced = model(**inputs, use_cache=True).past_key_values
    bapa.balance(model, "bapa", distance="native")
    with pytest.raises(ModelError, match=r"filled under bapa, the model runs under bapa:distance=native"):
        model(**tail, past_key_values=balanced)


def test_nothing_is_left_behind_by_a_forward_that_fails() -> None:
    model, inputs = bapa.balance(ONE_AXIS.build()), ONE_AXIS.inputs(TWO_IMAGES)
    right = logits(model, inputs)
    with pytest.raises(ValueError, match="do not match"):
        model(**{**inputs, "pixel_values": inputs["pixel_values"][:1]})
    same(logits(model, inputs), right)


def test_a_sampled_image_token_is_text() -> None:
    model, inputs = bapa.balance(ONE_AXIS.build()), ONE_AXIS.inputs([["t2", "image", "t3"]])
    with seen(model) as record, torch.no_grad():
        cache = model(**inputs, use_cache=True).past_key_values
        model(input_ids=torch.full((1, 2), ONE_AXIS.image_token_id), past_key_values=cache)
    assert record[1].flatten().tolist() == [record[0].max() + 1, record[0].max() + 2]


def test_threads_do_not_meet() -> None:
    model = bapa.balance(ONE_AXIS.build())
    prompts = [ONE_AXIS.inputs([["t2", "image", f"t{k}"]]) for k in range(1, 5)]
    alone = [logits(model, inputs) for inputs in prompts]
    failures: list[AssertionError] = []

    def work(inputs: dict[str, Tensor], wanted: Tensor) -> None:
        try:
            for _ in range(10):
                close(logits(model, inputs), wanted)
        except AssertionError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(prompts, alone, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_embeddings_instead_of_ids() -> None:
    model, inputs = bapa.balance(ONE_AXIS.build()), ONE_AXIS.inputs(TWO_IMAGES)
    right, ids = logits(model, inputs), inputs.pop("input_ids")
    embeds = model.get_input_embeddings()(ids)
    same(logits(model, {**inputs, "inputs_embeds": embeds}), right)
    pixels = inputs.pop("pixel_values")
    merged = embeds.clone()
    features = model.get_image_features(pixel_values=pixels)
    merged[ids == ONE_AXIS.image_token_id] = torch.cat(list(getattr(features, "pooler_output", features)))
    with pytest.raises(ModelError, match="mm_token_type_ids"):
        model(**inputs, inputs_embeds=merged)
    close(logits(model, {**inputs, "inputs_embeds": merged, "mm_token_type_ids": ONE_AXIS.image_mask(ids)}), right)


def test_static_cache_serves_one_prompt_after_another() -> None:
    model = bapa.balance(ONE_AXIS.build())
    for rows in (TWO_IMAGES, [["t5", "image", "t2"]], [["t4"]]):
        inputs = ONE_AXIS.inputs(rows)
        with seen(model) as dynamic:
            wanted = generate(model, ONE_AXIS, inputs)
        with seen(model) as static:
            found = generate(model, ONE_AXIS, inputs, cache_implementation="static", disable_compile=True)
        same(found.sequences, wanted.sequences)
        for a, b in zip(static, dynamic, strict=True):
            same(a, b)


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "gemma3"])
def test_lora_wrapped_and_merged(name: str) -> None:
    peft = pytest.importorskip("peft")
    family = FAMILIES[name]
    inputs = family.inputs(TWO_IMAGES)
    model = bapa.balance(family.build())
    before = logits(model, inputs)
    config = peft.LoraConfig(r=2, target_modules=r".*language_model.*q_proj", init_lora_weights=False)
    wrapped = peft.get_peft_model(model, config).eval()
    assert bapa.scheme_of(wrapped).label == "bapa"
    tuned = logits(wrapped, inputs)
    assert (tuned - before).abs().max() > 1e-4
    prompt = inputs["input_ids"].shape[1]
    answer = generate(wrapped, family, inputs)
    whole = logits(wrapped, family.extend(inputs, answer.sequences[:, prompt:]))
    close(torch.stack(answer.logits, 1), whole[:, prompt - 1 : -1].float())
    adapter = peft.get_peft_model_state_dict(wrapped)
    late = peft.get_peft_model(family.build(), config).eval()
    peft.set_peft_model_state_dict(late, adapter)
    close(logits(bapa.balance(late), inputs), tuned)
    close(logits(wrapped.merge_and_unload(), inputs), tuned)


def test_state_lives_on_the_cache() -> None:
    model, inputs = bapa.balance(ONE_AXIS.build()), ONE_AXIS.inputs([["t2", "image", "t3"]])
    cache = DynamicCache(config=model.config.get_text_config())
    model(**inputs, past_key_values=cache, use_cache=True)
    assert state.of(cache).offset.tolist() == [[inputs["input_ids"].eq(ONE_AXIS.image_token_id).sum().item() - 1]]
    assert model.model._bapa.running() is None
