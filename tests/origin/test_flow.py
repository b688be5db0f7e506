"""Rows of attention against full maps, on tiny models of several families."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import bapa
from bapa.attach import balanced
from bapa.checkpoints import load
from bapa.errors import ModelError
from bapa.families.anatomy import find
from bapa.origin import flow
from bapa.origin.attention import of_last_token, watching
from bapa.origin.geometry import Cells
from tests.tiny import FAMILIES

NAMES = ("llava", "llava_next", "qwen2_5_vl", "gemma3", "internvl")
PROMPT = ["t3", "image", "t6"]


def full(name: str, scheme: str) -> list[torch.Tensor]:
    """What the eager model itself reports: (batch, heads, queries, keys) for each layer."""
    family = FAMILIES[name]
    model = family.build("eager")
    with bapa.balanced(model, scheme), torch.no_grad():
        return list(model(**family.inputs([PROMPT, PROMPT]), output_attentions=True, use_cache=False).attentions)


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("scheme", ["native", "bapa", "native:image_attention=bidirectional"])
@pytest.mark.parametrize("name", NAMES)
def test_rows_are_those_of_the_full_maps(name: str, scheme: str, attn: str) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(attn), family.inputs([PROMPT, PROMPT])
    last = inputs["input_ids"].shape[1] - 1
    rows = torch.tensor([[last - 3, last], [last - 2, last]])
    found: dict[int, torch.Tensor] = {}
    with (
        bapa.balanced(model, scheme),
        torch.no_grad(),
        watching(find(model), rows, lambda layer, seen, _: found.update({layer: seen})),
    ):
        model(**inputs, use_cache=False)
    wanted = full(name, scheme)
    assert sorted(found) == list(range(len(wanted)))
    for layer, whole in enumerate(wanted):
        for row in range(2):
            assert torch.allclose(found[layer][row], whole[row][:, rows[row]].float(), atol=1e-5)


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
def test_watching_changes_nothing_and_leaves_nothing(attn: str) -> None:
    family = FAMILIES["gemma3"]
    model, inputs = family.build(attn), family.inputs(PROMPT)
    with torch.no_grad():
        before = model(**inputs).logits
        with watching(find(model), torch.tensor([[0]]), lambda *_: None):
            assert torch.equal(model(**inputs).logits, before)
        with (
            watching(find(model), torch.tensor([[0]]), lambda *_: pytest.fail("still watched")),
            pytest.raises(BaseException, match="still watched"),
        ):
            model(**inputs)
        assert torch.equal(model(**inputs).logits, before)


def test_attention_that_cannot_be_read_is_refused() -> None:
    model = FAMILIES["llava"].build()
    model.config.get_text_config()._attn_implementation = "flash_attention_2"
    with (
        pytest.raises(ModelError, match="attn_implementation='sdpa'"),
        watching(find(model), torch.tensor([[0]]), lambda *_: None),
    ):
        pass


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_the_full_maps(name: str) -> None:
    family = FAMILIES[name]
    inputs = family.inputs(PROMPT)
    last = inputs["input_ids"].shape[1] - 1
    rows = torch.tensor([[last - 1, last]])
    found: dict[int, torch.Tensor] = {}
    model = family.build("sdpa")
    with watching(find(model), rows, lambda n, _, given: found.update({n: given}), gradient=True):
        model(**inputs, use_cache=False).logits[0, -1, 7].backward()
    eager = family.build("eager")
    out = eager(**inputs, output_attentions=True, use_cache=False)
    for part in out.attentions:
        part.retain_grad()
    wanted = torch.autograd.grad(out.logits[0, -1, 7], out.attentions, allow_unused=True)
    for layer, given in found.items():
        assert torch.allclose(given[0], wanted[layer][0][:, rows[0]], atol=1e-5 * float(wanted[layer].abs().max() + 1))


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("name", NAMES)
def test_gathered_figures_are_those_of_the_full_maps(name: str, attn: str) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(attn), family.inputs([PROMPT, PROMPT])
    image = family.image_mask(inputs["input_ids"])
    tokens = int(image[0].sum())
    of = torch.arange(tokens) % 4 - 1
    flags = [parameter.requires_grad for parameter in model.parameters()]
    got = flow.gather(find(model), inputs, Cells(of, None), 3, (torch.tensor([5]), torch.tensor([6, 7])))
    assert flags == [parameter.requires_grad for parameter in model.parameters()]
    assert all(parameter.grad is None for parameter in model.parameters())
    columns = image[0].nonzero().flatten()
    question = list(range(int(columns.max()) + 1, image.shape[1] - 1))
    for layer, whole in enumerate(full(name, "native")):
        on_image = whole[..., columns].float()
        for source, rows in enumerate((question, [image.shape[1] - 1])):
            mean = on_image[:, :, rows].mean(2)
            assert torch.allclose(got.by_token[layer][source], mean.mean(1), atol=1e-5)
            kept = got.per_head[layer][:, :, source]
            for cell in range(3):
                assert torch.allclose(kept[..., cell], mean[..., of == cell].sum(-1), atol=1e-5)
            assert torch.allclose(kept[..., 3], mean.sum(-1), atol=1e-5)
            assert torch.allclose(kept[..., 4], whole[:, :, rows, 0].mean(-1), atol=1e-5)
            assert bool((got.entropy[layer] <= 1 + 1e-5).all())
    assert sorted(got.saliency) == sorted(got.by_token)
    assert all(bool((part >= 0).all()) for part in got.saliency.values())


def test_the_last_token_s_attention_is_that_of_the_full_maps() -> None:
    loaded = load("reference:bottom")
    chat = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "is there a red 3 in the image ?"}]}
    ]
    text = loaded.processor.apply_chat_template(chat, add_generation_prompt=True)
    canvas = Image.fromarray(np.random.default_rng(0).integers(0, 256, (72, 72, 3), dtype=np.uint8))
    inputs = dict(loaded.processor(images=[[canvas]] * 2, text=[text] * 2, return_tensors="pt"))
    with balanced(loaded.model, "bapa"):
        read = of_last_token(loaded.model, inputs)
        loaded.model.set_attn_implementation("eager")
        with torch.no_grad():
            maps = loaded.model(**inputs, output_attentions=True).attentions
    whole = torch.stack([layer[:, :, -1].mean(1) for layer in maps]).mean(0)
    assert read.shape == inputs["input_ids"].shape
    assert torch.allclose(read, whole, atol=1e-5)
    assert torch.allclose(read.sum(-1), torch.ones(2), atol=1e-5)
