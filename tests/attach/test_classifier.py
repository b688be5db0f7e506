"""A model that writes nothing: ShieldGemma 2 classifies by the next token, and holds a Gemma 3."""

from __future__ import annotations

import pytest
import torch
import transformers

import bapa
from tests.tiny import FAMILIES
from tests.tiny.base import OLDER


@pytest.mark.skipif(OLDER, reason="a config of transformers 5")
def test_shieldgemma2() -> None:
    gemma = FAMILIES["gemma3"]
    config = transformers.ShieldGemma2Config(**gemma.config, yes_token_index=5, no_token_index=6)
    model = transformers.ShieldGemma2ForImageClassification._from_config(config).eval()
    inputs = gemma.inputs(["t3", "image", "t5"])
    native = model(**inputs).logits
    with bapa.balanced(gemma.build(), "bapa") as other:
        expected = bapa.positions(other, **inputs)
    with bapa.balanced(model, "bapa"):
        assert torch.equal(bapa.positions(model, **inputs), expected)
        assert not torch.allclose(model(**inputs).logits, native)
    assert torch.equal(model(**inputs).logits, native)
