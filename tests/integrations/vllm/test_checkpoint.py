"""Checkpoints under the names vLLM reads. Needs no vLLM."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from bapa import reference
from bapa.errors import ModelError
from bapa.integrations.vllm.checkpoint import older, oriented, readable


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vision_tower.encoder.layers.0.mlp.fc1.bias", "vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias"),
        ("model.vision_tower.pre_layrnorm.bias", "model.vision_tower.vision_model.pre_layrnorm.bias"),
        ("vision_tower.vision_model.pre_layrnorm.bias", "vision_tower.vision_model.pre_layrnorm.bias"),
        ("language_model.model.norm.weight", "language_model.model.norm.weight"),
    ],
)
def test_names(name, expected):
    assert older(name) == expected


def test_a_copy_holds_the_same_weights(tmp_path):
    source = reference.path("bottom")
    copy = readable(source, tmp_path)
    before, after = (load_file(folder / "model.safetensors") for folder in (source, copy))
    assert {older(name) for name in before} == set(after)
    assert not set(before) <= set(after)
    assert all(torch.equal(weight, after[older(name)]) for name, weight in before.items())
    assert {path.name for path in copy.iterdir()} == {path.name for path in source.iterdir()}
    assert readable(source, tmp_path) == copy  # made once
    assert [path.name for path in tmp_path.iterdir()] == [copy.name]
    assert readable(copy, tmp_path) == copy  # nothing to do
    # transformers reads both names
    one, two = (AutoModelForImageTextToText.from_pretrained(folder).state_dict() for folder in (source, copy))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_no_safetensors(tmp_path):
    with pytest.raises(ModelError, match="no safetensors"):
        readable(tmp_path)


@pytest.mark.parametrize(("name", "shape"), [("gate_up_proj", (2, 8, 12)), ("down_proj", (2, 6, 8))])
def test_experts_that_transformers_saved_transposed(name, shape):
    config = SimpleNamespace(model_type="qwen3_vl_moe", get_text_config=lambda: SimpleNamespace(hidden_size=8))
    name, hub = f"model.language_model.layers.0.mlp.experts.{name}", torch.randn(shape)
    for saved in (hub, hub.transpose(1, 2)):
        assert torch.equal(oriented(name, saved, config), hub)
        assert oriented(name.replace("experts", "shared"), saved, config) is saved
        config.model_type, kept = "qwen3_5_moe", config.model_type
        assert oriented(name, saved, config) is saved
        config.model_type = kept
