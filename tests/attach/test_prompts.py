"""What a prompt may look like: padding anywhere, hidden image tokens, embeddings, pictures that touch a cached one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers import DynamicCache

import bapa
from bapa.errors import ModelError, SchemeError
from bapa.families.anatomy import find
from tests.attach.checks import close, expected, generate, logits, same, seen, watch
from tests.tiny import FAMILIES, Family
from tests.tiny.base import BREAK, END, IMAGE, OLDER, text

LLAVA = FAMILIES["llava"]


def places(model: Any, inputs: dict[str, Any]) -> list[float]:
    return bapa.positions(model, **inputs)[0, 0].tolist()


def followed(first: dict[str, Tensor], second: dict[str, Tensor], *types: str | None) -> dict[str, Tensor]:
    """Two prompts of one row each as one."""
    along = ("input_ids", "attention_mask", *types)
    return {key: torch.cat([first[key], second[key]], 1 if key in along else 0) for key in first}


@pytest.mark.parametrize("distance", ["1", "native"])
def test_hidden_image_tokens_count_for_nothing(distance: str) -> None:
    model, inputs = bapa.balance(LLAVA.build(), f"bapa:distance={distance}"), LLAVA.inputs([["t3", "image", "t3"]])
    inputs["attention_mask"][0, 4:6] = 0
    with seen(model) as record:
        generate(model, LLAVA, inputs)
    shown = inputs["attention_mask"][0].bool()
    behind = 4 if distance == "1" else 10  # natively behind the seven tokens that are left
    assert record[0][0, 0, shown].tolist() == [0, 1, 2, *[3] * 7, *range(behind, behind + 3)]
    assert [int(step) for step in record[1:]] == [behind + 3, behind + 4, behind + 5]


def test_a_plain_forward_counts_hidden_image_tokens_as_it_does_natively() -> None:
    model, inputs = LLAVA.build(), LLAVA.inputs([["t3", "image", "t3"]])
    inputs["attention_mask"][0, 4:6] = 0
    assert places(model, inputs) == list(range(15))
    assert places(bapa.balance(model), inputs) == [0, 1, 2, *[3] * 9, 4, 5, 6]


def test_a_rule_on_the_grid_refuses_an_image_that_is_not_whole() -> None:
    model, inputs = bapa.balance(LLAVA.build(), "concentric"), LLAVA.inputs([["t3", "image", "t3"]])
    inputs["attention_mask"][0, 4:6] = 0
    with pytest.raises(SchemeError, match="needs every patch of an image; the attention mask hides all but 7"):
        generate(model, LLAVA, inputs)


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_right_padding_with_positions_as_generation_makes_them(name: str) -> None:
    family = FAMILIES[name]
    model = bapa.balance(family.build())
    rows = [["t3", "image", "t2"], ["t6", "image", "t4", "image", "t2"]]
    batch = family.inputs(rows, padding="right")
    if not family.mrope:
        batch["position_ids"] = (batch["attention_mask"].cumsum(-1) - 1).masked_fill(batch["attention_mask"] == 0, 0)
    with torch.no_grad(), seen(model) as record:
        cache = model(**batch, use_cache=True).past_key_values
        ends = [expected(family, family.inputs([words])["input_ids"])[0][-1] for words in rows]
        count = batch["attention_mask"].sum(-1) if not family.mrope else None
        more = torch.cat([batch["attention_mask"], torch.ones(2, 1, dtype=torch.long)], 1)
        at = None if count is None else count[:, None]
        if family.mrope:  # its own positions go on behind each row
            native = watch(family.build(), family.inputs(rows, padding="right"))
            at = native.masked_fill(batch["attention_mask"] == 0, 0).amax((0, 2))[None, :, None].expand(3, -1, -1) + 1
        model(
            input_ids=torch.tensor([[5], [6]]),
            attention_mask=more,
            position_ids=at,
            past_key_values=cache,
            use_cache=True,
        )
    assert record[1][0].flatten().tolist() == [end + 1 for end in ends]


def test_a_padded_second_turn_with_an_image_on_a_returned_cache() -> None:
    model = bapa.balance(LLAVA.build())
    first = LLAVA.inputs([["t5", "image", "t4"], ["t2", "image", "t1"]])
    second = LLAVA.inputs([["t2", "image", "t3"], ["image", "t1"]])
    mask = torch.cat([first["attention_mask"], second["attention_mask"]], 1)
    at = (mask.cumsum(-1) - 1).clamp(min=0)
    cut = first["input_ids"].shape[1]
    with torch.no_grad(), seen(model) as record:
        cache = model(**first, position_ids=at[:, :cut], use_cache=True).past_key_values
        model(**{**second, "attention_mask": mask}, position_ids=at[:, cut:], past_key_values=cache, use_cache=True)
    for row, words in enumerate((["t5", "image", "t4"], ["t2", "image", "t1"])):
        more = (["t2", "image", "t3"], ["image", "t1"])[row]
        whole = followed(LLAVA.inputs([words]), LLAVA.inputs([more]))
        found = torch.cat(record, -1)[0, row, mask[row].bool()]
        assert found.tolist() == places(model, whole)


@pytest.mark.parametrize(
    ("name", "scheme", "first", "second"),
    [
        ("llava", "bapa", ["t2", "image"], ["image", "t3"]),
        ("paligemma", "bapa", ["t2", "image"], ["image", "t3"]),
        ("internvl", "bapa:scope=global", ["t2", "image", "t1"], ["t1", "image", "t3"]),
    ],
)
def test_an_image_behind_a_cached_one(name: str, scheme: str, first: list[str], second: list[str]) -> None:
    family = FAMILIES[name]
    model, a, b = bapa.balance(family.build(), scheme), family.inputs([first]), family.inputs([second])
    whole = followed(a, b, family.types)
    cache = DynamicCache(config=model.config.get_text_config())
    with torch.no_grad(), seen(model) as record:
        model(**a, past_key_values=cache)
        model(**{**b, "attention_mask": whole["attention_mask"]}, past_key_values=cache)
    assert torch.cat([part[0, 0] for part in record]).tolist() == places(model, whole)


def test_pixtral_inside_llava_is_one_image_and_not_its_rows() -> None:
    tower = {"model_type": "pixtral", "image_size": 16, "patch_size": 4, "head_dim": 16, "hidden_size": 32}
    tower |= {"intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = transformers.LlavaForConditionalGeneration._from_config(
        transformers.LlavaConfig(
            vision_config=tower,
            text_config=text(model_type="mistral"),
            image_token_index=IMAGE,
            vision_feature_layer=-1,
            vision_feature_select_strategy="full",
        )
    ).eval()
    ids = torch.tensor([[5, 6, 7, *([IMAGE] * 4 + [BREAK]) * 2, *[IMAGE] * 4, END, 8, 9]])
    inputs = {"input_ids": ids, "pixel_values": torch.randn(1, 3, 12, 16), "image_sizes": torch.tensor([[12, 16]])}
    wanted = [0, 1, 2, 3, 3, 3, 3, 4, 3, 3, 3, 3, 5, 3, 3, 3, 3, 6, 7, 8]
    assert places(bapa.balance(model), inputs) == wanted


def test_a_picture_that_idefics2_splits_is_one_image() -> None:
    family = FAMILIES["idefics2"]
    model = bapa.balance(family.build())
    for words in (["t2", "wide", "t3"], ["t2", "wide", "image", "t1"], ["image", "image", "t1"]):
        inputs = family.inputs([words])
        assert places(model, inputs) == expected(family, inputs["input_ids"])[0]


def merged(family: Family, inputs: dict[str, Tensor]) -> Tensor:
    """The embeddings that reach the decoder: words, and features of pictures."""
    model, got = family.build(), {}
    hook = find(model).decoder.register_forward_pre_hook(
        lambda module, args, kwargs: got.update(kwargs), with_kwargs=True
    )
    logits(model, inputs)
    hook.remove()
    return got["inputs_embeds"]


@pytest.mark.parametrize("name", ["idefics3", "llava", "aya_vision", "mistral3"])
def test_embeddings_have_the_images_of_their_ids(name: str) -> None:
    family = FAMILIES[name]
    inputs = family.inputs([["t3", "image", "t4"]])
    model = bapa.balance(family.build())
    wanted, right = places(model, inputs), logits(model, inputs)
    plain = {key: value for key, value in inputs.items() if key != "input_ids"}
    plain["inputs_embeds"] = model.get_input_embeddings()(inputs["input_ids"])
    close(logits(model, plain), right)
    types = family.image_mask(inputs["input_ids"]).long()
    given = {"inputs_embeds": merged(family, inputs), "attention_mask": inputs["attention_mask"]}
    assert places(model, {**given, "mm_token_type_ids": types}) == wanted
    with pytest.raises(ModelError, match="what is no word of the vocabulary"):
        logits(model, given)


def test_tuned_prompts_say_what_to_pass_and_are_text() -> None:
    peft = pytest.importorskip("peft")
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    inputs = LLAVA.inputs([["t6"]])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tuned = peft.get_peft_model(LLAVA.build(), config).eval()
    native = logits(tuned, inputs)
    bapa.balance(tuned)
    with pytest.raises(ModelError, match=r"virtual tokens of a tuned prompt; pass .*mm_token_type_ids"):
        logits(tuned, inputs)
    same(logits(tuned, {**inputs, "mm_token_type_ids": torch.zeros_like(inputs["input_ids"])}), native)
    pictures = LLAVA.inputs([["t2", "image", "t3"]])
    with seen(tuned) as record:
        logits(tuned, pictures)
    assert record[0][0, 0].tolist() == [0, 1, 2, *[p + 3 for p in expected(LLAVA, pictures["input_ids"])[0]]]


def test_a_decoder_on_its_own_refuses_pictures_and_reads_text() -> None:
    inputs = LLAVA.inputs([["t3", "image", "t4"]])
    model = bapa.balance(LLAVA.build())
    decoder = find(model).decoder
    with pytest.raises(ModelError, match="LlamaModel is called on its own with embeddings that are no words"):
        decoder(inputs_embeds=merged(LLAVA, inputs))
    ids = torch.randint(3, 90, (1, inputs["input_ids"].shape[1]))
    wanted = find(LLAVA.build()).decoder(input_ids=ids).last_hidden_state

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    handle = find(model).layers[1].register_forward_pre_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        model(**inputs)
    handle.remove()
    same(decoder(input_ids=ids).last_hidden_state, wanted)
    same(decoder(inputs_embeds=model.get_input_embeddings()(ids)).last_hidden_state, wanted)


def test_an_image_token_that_is_renamed_later_is_seen() -> None:
    model, inputs = bapa.balance(LLAVA.build()), LLAVA.inputs([["t3", "image", "t4"]])
    wanted = places(model, inputs)
    model.config.image_token_id = 110
    inputs["input_ids"][inputs["input_ids"] == IMAGE] = 110
    assert places(model, inputs) == wanted


@pytest.mark.skipif(OLDER, reason="generation sees pictures as the forward does")
def test_generation_reads_the_sizes_that_it_then_drops() -> None:
    family = FAMILIES["llava_next"]
    model, inputs = bapa.balance(family.build()), family.inputs([["t2", "image", "wide", "t3"]])
    with seen(model) as record:
        generate(model, family, inputs)
    assert record[0][0, 0].tolist() == places(model, inputs)
    assert [places(model, inputs).count(place) for place in (2, 3)] == [14, 24]
