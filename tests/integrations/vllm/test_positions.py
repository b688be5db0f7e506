"""Positions of a request from what vLLM tells of it, against those of the transformers model. Needs no vLLM."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

import bapa
from bapa.errors import ModelError
from bapa.integrations.vllm.positions import Positions
from bapa.schemes import parse
from tests.tiny import FAMILIES, Family

PROMPTS = [["t5"], ["image", "t4"], ["t3", "image", "t6", "image", "t2"], ["t2", "image", "image", "t3"]]
ONE_AXIS = ["bapa", "bapa:distance=62", "bapa:distance=native", "bapa:scope=global", "stride:delta=2", "reverse"]
CASES = [
    *((name, ONE_AXIS) for name in ("llava", "llava_next", "llava_onevision", "internvl", "gemma3", "mistral3")),
    *((name, [*ONE_AXIS, "concentric", "spatial_reset", "mrope"]) for name in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")),
]


def features(family: Family, prompt: list[str], inputs: dict[str, Any]) -> list[Any]:
    """What vLLM's scheduler hands a model with a prompt."""
    crowd = sum(word in family.pictures for word in prompt) > 1
    grids = iter(inputs.get("image_grid_thw", ()))
    found, offset = [], 0
    for word in prompt:
        if word not in family.pictures:
            offset += int(word.removeprefix("t"))
            continue
        ids = (family.crowded.get(word, family.pictures[word]) if crowd else family.pictures[word]).ids
        embeds = int(family.image_mask(torch.tensor(ids)).sum())
        place = SimpleNamespace(offset=offset, length=len(ids), get_num_embeds=lambda embeds=embeds: embeds)
        data = {"image_grid_thw": SimpleNamespace(data=next(grids))} if family.mrope else {}
        found.append(SimpleNamespace(modality="image", data=data, mm_position=place))
        offset += len(ids)
    return found[::-1]  # in any order


@pytest.fixture(scope="module")
def families() -> dict[str, tuple[Family, Any]]:
    return {name: (FAMILIES[name], FAMILIES[name].build()) for name, _ in CASES}


@pytest.mark.parametrize(("name", "scheme"), [(name, scheme) for name, schemes in CASES for scheme in schemes])
def test_as_transformers(families, name, scheme):
    family, model = families[name]
    asked = Positions(model.config, parse(scheme), longest=200)
    for prompt in PROMPTS:
        inputs = family.inputs(prompt)
        ids = inputs["input_ids"][0].tolist()
        native = bapa.positions(model, **inputs)[:, 0]
        with bapa.balanced(model, scheme):
            expected = bapa.positions(model, **inputs)[:, 0]
            longer = bapa.positions(model, **family.extend(inputs, torch.tensor([[5, 6]])))[:, 0]
        found, delta = asked(ids, features(family, prompt, inputs), lambda native=native: native)
        assert found.dtype == torch.long
        assert found.tolist() == expected.expand(3, -1).tolist(), prompt
        assert [len(ids) + i + delta for i in range(2)] == longer[0, -2:].tolist(), prompt


def test_kept_results_are_those_of_their_own_prompt(families):
    """The same pictures at other places, other pictures at the same place, and a caller that writes into its result."""
    family, model = families["qwen2_5_vl"]
    asked = Positions(model.config, parse("concentric"), longest=200)
    for prompt in [["t3", "image", "t9"], ["t4", "image", "t8"], ["t3", "wide", "t7"], ["t3", "image", "t9"]] * 2:
        inputs = family.inputs(prompt)
        native = bapa.positions(model, **inputs)[:, 0]
        with bapa.balanced(model, "concentric"):
            expected = bapa.positions(model, **inputs)[:, 0]
        ids = inputs["input_ids"][0].tolist()
        found, _ = asked(ids, features(family, prompt, inputs), lambda native=native: native)
        assert torch.equal(found, expected.expand(3, -1))
        found.zero_()


def test_beyond_the_table(families):
    family, model = families["llava"]
    prompt = ["t2", "image", "t3"]
    inputs = family.inputs(prompt)
    ids = inputs["input_ids"][0].tolist()
    native = torch.arange(len(ids))[None]
    with pytest.raises(ModelError, match="positions 0 to 511"):
        Positions(model.config, parse("bapa:distance=400"), longest=200)(
            ids, features(family, prompt, inputs), lambda: native
        )


def test_kept_results_are_those_of_a_video_of_the_same_rate():
    family = FAMILIES["qwen2_5_vl"]
    model, prompt = family.build(), family.inputs([["t2", "video", "t3"]])
    ids = prompt["input_ids"][0].tolist()
    start, count = ids.index(family.video_token_id), ids.count(family.video_token_id)
    clip = SimpleNamespace(
        mm_position=SimpleNamespace(offset=start, get_num_embeds=lambda: count),
        modality="video",
        data={"video_grid_thw": SimpleNamespace(data=prompt["video_grid_thw"][0])},
    )

    def native(seconds: float) -> torch.Tensor:
        told = {name: prompt[name] for name in ("video_grid_thw", "attention_mask", "mm_token_type_ids")}
        return model.model.get_rope_index(prompt["input_ids"], **told, second_per_grid_ts=torch.tensor([seconds]))[0][
            :, 0
        ].long()

    def found(counted: Positions, seconds: float) -> torch.Tensor:
        return counted(ids, [clip], lambda: native(seconds))[0]

    one, other = (Positions(model.config, parse("bapa:distance=native"), longest=200) for _ in range(2))
    found(one, 1.0)
    assert torch.equal(found(one, 4.0), found(other, 4.0))
    assert not torch.equal(native(1.0), native(4.0))
