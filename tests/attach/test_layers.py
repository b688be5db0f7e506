"""Layers that differ: that read keys of others, attend or pass on a state, have rotary positions or none."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

import bapa
from bapa.attach.check import check
from bapa.errors import SchemeError
from bapa.families.anatomy import find
from bapa.schemes import parse
from tests.attach.checks import generate, logits
from tests.tiny import FAMILIES
from tests.tiny.base import Family


def sharing(layers: int) -> Family:
    family = FAMILIES["gemma4"]
    config = copy.deepcopy(dict(family.config))
    config["text_config"].update(
        num_hidden_layers=6,
        num_kv_shared_layers=layers,
        layer_types=["sliding_attention", "full_attention"] * 3,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=128,
    )
    return replace(family, config=config)


@pytest.mark.parametrize(
    "scheme", ["bapa:layers=0-3", "bapa:pairs=cross", "restore", "sofa", "bapa:image_attention=bidirectional"]
)
def test_layers_that_read_keys_of_others_take_one_rule_for_all(scheme: str) -> None:
    for layers in (0, 2):
        family = sharing(layers)
        model, prompt = family.build(), family.inputs([["t3", "image", "t6"]])
        generate(bapa.balance(model), family, prompt)
        if layers:
            with pytest.raises(SchemeError, match=r"the last 2 layers of .* read keys of earlier layers"):
                bapa.balance(model, scheme)
        else:
            generate(bapa.balance(model, scheme), family, prompt)


@pytest.mark.parametrize("name", ["qwen3_5", "lfm2_vl", "minicpmv4_6"])
def test_in_a_hybrid_model_masks_reach_the_layers_that_attend(name: str) -> None:
    family = FAMILIES[name]
    model, prompt = family.build(), family.inputs([["t3", "image", "t4"]])
    native = logits(model, prompt)
    moved = logits(bapa.balance(model, "bapa:image_attention=bidirectional"), prompt)
    assert not torch.allclose(moved, native, atol=1e-4)
    kinds = model.config.get_text_config().layer_types
    other = next(layer for layer, kind in enumerate(kinds) if kind in ("linear_attention", "conv"))
    for scheme, what in ((f"bapa:layers={other}", "rotary positions"), (f"sofa:layers={other}", "attention")):
        with pytest.raises(SchemeError, match=rf"has {what} in layers \d.* alone, and the rule names none of them"):
            bapa.balance(model, scheme)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_rule_for_one_layer_changes_that_layer_or_is_refused(name: str) -> None:
    family = FAMILIES[name]
    model, prompt = family.build(), family.inputs([["t3", "image", "t4"]])
    native, count = logits(model, prompt), len(find(model).layers)
    moved, refused = [], []
    for layer in range(count):
        try:
            with bapa.balanced(model, f"bapa:layers={layer}"):
                moved.append(logits(model, prompt))
        except SchemeError as error:
            refused.append(str(error))
    assert all("and the rule names none of them" in told for told in refused)
    assert moved
    assert not any(torch.equal(one, native) for one in moved)
    with bapa.balanced(model, f"bapa:layers=0-{count - 1}"):
        every = logits(model, prompt)
    with bapa.balanced(model, "bapa"):
        assert torch.equal(logits(model, prompt), every)
    if len(moved) == 1:  # the other layers have no rotary positions, so it is all that a shared position changes
        assert torch.equal(moved[0], every)


def test_a_model_whose_layers_are_not_known_takes_rules_that_name_none() -> None:
    unknown = replace(find(FAMILIES["llava"].build()), layers=())
    check(unknown, parse("bapa"))
    with pytest.raises(SchemeError, match="are not known"):
        check(unknown, parse("bapa:layers=0"))
