"""transformers' continuous batching, ``generate_batch``: text as alone, pictures refused under a scheme."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

import bapa
from bapa.attach.hooks import Attachment
from bapa.errors import ModelError
from bapa.families.pictures import Reader
from tests.tiny import FAMILIES
from tests.tiny.base import OLDER

pytestmark = pytest.mark.skipif(OLDER, reason="continuous batching of transformers 5")
WRITTEN = 6
# Else the cache takes most of the machine's memory.
SMALL = None if OLDER else transformers.ContinuousBatchingConfig(num_blocks=16, block_size=32, max_batch_tokens=64)


def texts() -> list[list[int]]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randint(3, 99, (count,), generator=draw).tolist() for count in (5, 9, 14)]


def batched(model: Any, prompts: list[list[int]]) -> list[list[int]]:
    """What the requests of one batch get, in their order."""
    wanted = transformers.GenerationConfig(max_new_tokens=WRITTEN, do_sample=False, eos_token_id=-1, pad_token_id=0)
    found = model.generate_batch(prompts, wanted, SMALL, warmup=False)
    assert [answer.error for answer in found.values()] == [None] * len(prompts)
    return [found[name].generated_tokens for name in sorted(found, key=lambda name: int(name.split("_")[1]))]


def alone(model: Any, prompt: list[int]) -> list[int]:
    written = model.generate(torch.tensor([prompt]), max_new_tokens=WRITTEN, do_sample=False)
    return written[0, len(prompt) :].tolist()


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "gemma3"])
def test_text_is_as_alone(name: str) -> None:
    model = FAMILIES[name].build()
    expected = [alone(model, prompt) for prompt in texts()]
    for scheme in ("bapa", "bapa:pairs=cross"):
        with bapa.balanced(model, scheme):
            assert batched(model, texts()) == expected, scheme


def test_that_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests stand behind each other in one row: with positions that count through it, answers are others."""
    model = FAMILIES["llava"].build()
    expected = [alone(model, prompt) for prompt in texts()]
    own = Attachment._positions

    def counting(self: Attachment, call: Any, native: Any) -> Any:
        return own(self, call, torch.arange(native.shape[-1]).expand_as(native))

    monkeypatch.setattr(Attachment, "_positions", counting)
    with bapa.balanced(model, "bapa"):
        assert batched(model, texts()) != expected


def test_pictures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = FAMILIES["llava"].build()
    shown = FAMILIES["llava"].inputs(["t3", "image", "t4"])["input_ids"][0].tolist()
    native = batched(model, [shown])
    with (
        bapa.balanced(model, "bapa"),
        pytest.raises(ModelError, match=r"image tokens as words; under bapa .* generate"),
    ):
        batched(model, [*texts(), shown])
    assert batched(model, [shown]) == native  # restored: transformers' own silence
    # What the refusal is for: without it the pictures are left out and the request is answered.
    monkeypatch.setattr(Reader, "shows", lambda self, ids: False)
    with bapa.balanced(model, "bapa"):
        assert batched(model, [shown]) == native


def test_a_manager_that_is_kept() -> None:
    model = FAMILIES["llava"].build()
    shown = FAMILIES["llava"].inputs(["t3", "image", "t4"])["input_ids"][0].tolist()
    with bapa.balanced(model, "bapa"):
        manager = model.init_continuous_batching(continuous_batching_config=SMALL)
        with pytest.raises(ModelError, match="generate_batch takes token ids alone"):
            manager.add_request(shown)
    manager.add_request(shown)
