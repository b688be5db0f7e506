"""Whatever is shared between questions and schemes, the logits are those of one question asked alone."""

from __future__ import annotations

import zlib
from functools import wraps

import pytest
import torch

import bapa
from bapa.attach import attention
from bapa.calibrate.fit import sizes
from bapa.calibrate.fit import whole as whole_of
from bapa.inference.forward import Forward
from bapa.inference.prompts import Prompt, token_types
from tests.tiny import FAMILIES
from tests.tiny.base import FIRST_TEXT, LAST_TEXT, Family

TEXTS = [["what", "where is it"], ["which of them", "who"], ["how", "why"]]
CANVASES = [0.5, 1.0, 1.5]  # what the pixels are multiplied with
PREFIX = ("t3", "image")
# Natively without a usable cache: found out before a run, and asked separately.
UNSHAREABLE = {
    "video_llama_3": "wrong with a cache and no position ids",
    "minicpm_ocr": "linear attention goes on from a cache one token at a time",
    "minicpmv4_6": "linear attention goes on from a cache one token at a time",
    "granite4_vision": "a plain forward returns no cache",
    "qwen2_5_omni_thinker": "without a mask, positions on a cache go by its length",
    "qwen3_omni_moe_thinker": "without a mask, positions on a cache go by its length",
}


class Tokenizer:
    pad_token_id = 0


class Processor:
    tokenizer = Tokenizer()


class FamilyPrompts:
    """Stands in for a processor: the family's own image tokens, and a text of as many tokens as it has letters."""

    processor = Processor()

    def __init__(self, family: Family) -> None:
        self.family = family

    def suffix(self, text: str) -> torch.Tensor:
        generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
        return torch.randint(FIRST_TEXT, LAST_TEXT, (1, len(text)), generator=generator)

    def inputs(self, canvases, text):
        inputs = self.family.inputs([PREFIX] * len(canvases))
        for name, value in inputs.items():
            if value.is_floating_point():
                side_by_side = len(value) < len(canvases)  # MiniCPM's pictures are strips of one long one
                scale = torch.tensor(canvases).repeat_interleave(
                    value.shape[-1 if side_by_side else 0] // len(canvases)
                )
                inputs[name] = value * (scale if side_by_side else scale.view(-1, *[1] * (value.dim() - 1)))
        return self.family.extend(inputs, self.suffix(text).expand(len(canvases), -1))

    def __call__(self, text):
        inputs = self.inputs([1.0], text)
        return Prompt(inputs["input_ids"][0].tolist(), {name: inputs[name][0].tolist() for name in token_types(inputs)})


def forward_of(family: Family) -> Forward:
    prompts = FamilyPrompts(family)
    return Forward(family.build(), prompts, family.inputs(PREFIX)["input_ids"].shape[1])


@pytest.mark.parametrize("scheme", ["native", "bapa"])
@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - {"hunyuan_vl"}))  # its generate and forward differ natively
def test_shared_and_separate_are_alone(name, scheme):
    forward = forward_of(FAMILIES[name])
    asked = forward.prepare(CANVASES, TEXTS)
    seen = forward.see(asked)
    with bapa.balanced(forward.model, scheme):
        alone = torch.stack(
            [
                torch.stack([forward.alone(canvas, text) for text in row])
                for canvas, row in zip(CANVASES, TEXTS, strict=True)
            ]
        )
        if name not in UNSHAREABLE:
            assert forward.agrees(forward.logits(seen), alone)
        forward.shared = 0
        assert forward.agrees(forward.logits(seen), alone)
    assert not forward.agrees(alone[0], alone[1]), "the canvases must matter"
    assert not forward.agrees(alone[:, 0], alone[:, 1]), "the questions must matter"


@pytest.mark.parametrize("name", ["llava", "gemma3", "qwen2_5_vl", "idefics3"])
def test_the_encoder_runs_once_for_all_schemes_and_questions(name):
    forward = forward_of(FAMILIES[name])
    calls = []
    encode = forward.encode
    forward.encode = wraps(encode)(lambda **inputs: calls.append(1) or encode(**inputs))
    seen = forward.see(forward.prepare(CANVASES, TEXTS))
    for module in forward.model.modules():
        if "Vision" in type(module).__name__:
            module.register_forward_pre_hook(lambda *_: pytest.fail("the vision encoder ran again"))
    for scheme in ("native", "bapa", "bapa:distance=native"):
        with bapa.balanced(forward.model, scheme):
            forward.logits(seen)
    assert calls == [1]


@pytest.mark.parametrize("name", ["llava", "gemma3"])
def test_gradients_flow_through_what_questions_share(name):
    """Those of whole prompts, back to the shares of every layer, in the picture's rows too."""
    forward = forward_of(FAMILIES[name])
    layers, heads, pairs = sizes(forward.model)
    seen = forward.see(forward.prepare(CANVASES, TEXTS))
    whole = forward.whole(seen)
    wanted = [torch.full((heads * pairs,), 0.4, requires_grad=True) for _ in layers]
    with bapa.balanced(forward.model, f"bapa:shares={whole_of(layers, heads)}"):
        attention.mix(forward.model, dict(zip(layers, wanted, strict=True)))
        logits = forward.continued(seen)
        alone = torch.stack([forward.model(**inputs, logits_to_keep=1).logits[:, -1] for inputs in whole], 1)
    shared, apart = (torch.autograd.grad(said.square().mean(), wanted) for said in (logits, alone))
    for one, two in zip(shared, apart, strict=True):
        assert two.abs().max() > 0
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3 * float(two.abs().max()))


def test_rows_of_unequal_numbers_of_questions():
    forward = forward_of(FAMILIES["llava"])
    logits = forward.logits(forward.see(forward.prepare(CANVASES, [["what"], ["which of them", "who"], ["how"]])))
    assert logits.shape[:2] == (3, 2)
    assert forward.agrees(logits[1, 1], forward.alone(CANVASES[1], "who"))
    assert forward.agrees(logits[2, 0], forward.alone(CANVASES[2], "how"))
