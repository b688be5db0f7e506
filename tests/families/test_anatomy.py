"""What the anatomy of a model needs from its config."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import bapa
from bapa.errors import UnsupportedModelError
from tests.tiny import FAMILIES
from tests.tiny.base import IMAGE, OLDER


@pytest.mark.skipif(OLDER, reason="a family of transformers 5")
def test_a_config_without_image_token_is_refused_until_what_the_error_says_is_typed() -> None:
    family = FAMILIES["minicpmv4_6"]
    processor = SimpleNamespace(image_token_id=IMAGE)
    model = replace(family, config={**family.config, "image_token_id": None, "video_token_id": None}).build()
    inputs = family.inputs(["t3", "image", "t5"])
    with pytest.raises(UnsupportedModelError, match=r"type model\.config\.image_token_id = processor\.image_token_id"):
        bapa.balance(model)
    with torch.no_grad():
        blind = model(**inputs).logits
        model.config.image_token_id = processor.image_token_id
        assert not torch.equal(model(**inputs).logits, blind)  # transformers had left the picture out
    bapa.balance(model)
    with bapa.balanced(family.build(), "bapa") as other:
        assert torch.equal(bapa.positions(model, **inputs), bapa.positions(other, **inputs))
