"""What stands around a balanced model: videos, packed rows, assisted decoding, weights kept on the CPU."""

from __future__ import annotations

import pytest
import torch

import bapa
from tests.attach.checks import TWO_IMAGES, close, expected, generate, logits, same
from tests.tiny import FAMILIES

VIDEOS = [name for name, family in FAMILIES.items() if "video" in family.pictures]


@pytest.mark.parametrize("name", VIDEOS)
def test_a_video_is_one_image_or_one_for_each_frame_as_it_is_written(name: str) -> None:
    family = FAMILIES[name]
    # GLM marks frames with the image token, and natively counts them as pictures where both come in one row.
    picture = [] if family.name.startswith("glm") else ["image", "t2"]
    inputs = family.inputs([["t2", "video", "t3", *picture]])
    found = bapa.positions(bapa.balance(family.build()), **inputs)
    wanted = torch.tensor(expected(family, inputs["input_ids"]))
    assert (found == wanted).all(), f"{found.tolist()} is not {wanted.tolist()}"
    assert wanted.max() < inputs["input_ids"].shape[1] - 4, "the video takes many places: the check could not fail"


@pytest.mark.parametrize("name", ["llava", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_packed_rows_start_afresh(name: str) -> None:
    """Two prompts in one row, whose positions start again: each is placed as it is alone."""
    family = FAMILIES[name]
    model = family.build()
    rows = [family.inputs([["t3", "image", "t4"]]), family.inputs([["t2", "image", "t1", "image", "t3"]])]
    native = [bapa.positions(model, **row) for row in rows]
    bapa.balance(model)
    alone = torch.cat([bapa.positions(model, **row) for row in rows], -1)
    packed = {
        key: torch.cat([row[key] for row in rows], 1 if key in ("input_ids", family.types) else 0)
        for key in rows[0]
        if key != "attention_mask"
    }
    ids = torch.cat(native, -1)
    found = bapa.positions(model, **packed, position_ids=ids if family.mrope else ids[0])
    same(found.long(), alone.expand_as(found).long())


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_assisted_decoding_gives_the_same_tokens(name: str) -> None:
    """Guesses from the prompt, several at a time, wrong ones cut off the cache again."""
    family = FAMILIES[name]
    model, inputs = bapa.balance(family.build()), family.inputs(TWO_IMAGES)
    options = {"max_new_tokens": 8, "eos_token_id": 126}  # transformers 4 wants an end; this one cannot be sampled
    plain = generate(model, family, inputs, **options)
    with_guesses = generate(model, family, inputs, **options, prompt_lookup_num_tokens=3)
    same(with_guesses.sequences, plain.sequences)


@pytest.mark.parametrize("before", [True, False])
def test_weights_that_wait_on_the_cpu(before: bool) -> None:
    accelerate = pytest.importorskip("accelerate")
    family = FAMILIES["llava"]
    inputs = family.inputs(TWO_IMAGES)
    right = logits(bapa.balance(family.build()), inputs)
    model = family.build()
    if before:
        bapa.balance(model)
    model = accelerate.cpu_offload(model, execution_device="cpu")
    if not before:
        bapa.balance(model)
    close(logits(model, inputs), right)
    close(logits(bapa.restore(model), inputs), logits(family.build(), inputs))
