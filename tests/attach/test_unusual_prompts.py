"""Prompts nobody had tried: clips with sound, strips of one row, packed rows under one scope."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
import torch

import bapa
from tests.attach.checks import expected, logits
from tests.tiny import FAMILIES
from tests.tiny.tiles import pixtral


def test_sound_in_a_clip_counts_as_text_and_does_not_start_anew() -> None:
    family = FAMILIES["qwen2_5_omni_thinker"]
    model = family.build()
    config = model.config
    config.position_id_per_seconds, config.seconds_per_chunk = 4, 1  # so that the clip is short
    prompt = family.inputs([["t2", "image", "t2"]])
    seen, heard = [config.video_token_id] * 4, [config.audio_token_id] * 4
    clip = [config.vision_start_token_id, config.audio_start_token_id, *seen, *heard, *seen, *heard]
    ids = torch.cat([prompt["input_ids"], torch.tensor([[*clip, config.audio_end_token_id, 111, 9, 10]])], 1)
    call: dict[str, Any] = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": prompt["pixel_values"],
        "image_grid_thw": prompt["image_grid_thw"],
        "pixel_values_videos": torch.randn(32, prompt["pixel_values"].shape[-1]),
        "video_grid_thw": torch.tensor([[2, 4, 4]]),
        "video_second_per_grid": torch.tensor([1.0]),
        "input_features": torch.randn(1, config.audio_config.num_mel_bins, 32),
        "feature_attention_mask": torch.ones(1, 32, dtype=torch.long),
        "use_audio_in_video": True,
    }
    model.rope_deltas = None
    found = bapa.positions(bapa.balance(model), **call)[0, 0].tolist()
    assert found[:9] == [0, 1, 2, 3, 3, 3, 3, 3, 3]
    assert found[9:] == [4, 5, 6, 7, 8, *[9] * 4, 10, 11, 12, 13, *[14] * 4, *range(15, 23)]


@pytest.mark.parametrize(
    "words",
    [
        ["t2", "image", "t2", "strip", "t2"],
        ["t2", "strip", "t2", "image", "t2"],
        ["t2", "strip", "strip", "t2"],
        ["t2", "strip", "image", "t1"],
        ["t2", "strip", "t2"],
    ],
)
def test_an_image_of_one_row_breaks_no_other(words: list[str]) -> None:
    family = replace(FAMILIES["mistral3"], pictures={"image": pixtral(2, 3, 8), "strip": pixtral(1, 3, 8)})
    prompt = family.inputs([words])
    found = bapa.positions(bapa.balance(family.build()), **prompt)
    assert found[0, 0].tolist() == [int(one) for one in expected(family, prompt["input_ids"])[0]]


@pytest.mark.parametrize("scheme", ["bapa", "bapa:scope=global"])
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_each_of_several_packed_sequences_has_the_positions_it_has_alone(name: str, scheme: str) -> None:
    family = FAMILIES[name]
    model = bapa.balance(family.build(), scheme)
    rows = [family.inputs([words]) for words in (["t3", "image", "t2"], ["t1", "image", "t2", "image", "t1"])]
    alone = [bapa.positions(model, **row) for row in rows]
    told = [bapa.positions(bapa.balance(model, "native"), **row) for row in rows]
    bapa.balance(model, scheme)
    packed = {
        key: torch.cat([row[key] for row in rows], 1 if key.endswith("_ids") else 0)
        for key in rows[0]
        if key != "attention_mask"
    }
    native = torch.cat(told, -1)
    packed["position_ids"] = native[:, 0][None, 0] if len(native) == 1 else native
    assert torch.equal(bapa.positions(model, **packed), torch.cat(alone, -1))


@pytest.mark.parametrize("seconds", [0.5, 1.0, 4.0])
def test_text_behind_a_slow_video_stays_where_it_was_natively(seconds: float) -> None:
    family = FAMILIES["qwen2_5_vl"]
    model, prompt = family.build(), family.inputs([["t2", "video", "t3"]])
    text = ~family.image_mask(prompt["input_ids"])[0]
    native, found = (
        bapa.positions(bapa.balance(model, scheme), **prompt, second_per_grid_ts=torch.tensor([seconds]))
        for scheme in ("native", "bapa:distance=native")
    )
    assert torch.equal(found[:, 0, text].amax(0), native[:, 0, text].amax(0))


@pytest.mark.parametrize("scheme", ["bapa", "restore", "bapa:pairs=cross", "anchored"])
def test_a_balanced_model_can_be_written_whole_and_read_again(scheme: str) -> None:
    family = FAMILIES["llava"]
    model, prompt = bapa.balance(family.build(), scheme), family.inputs([["t3", "image", "t4"]])
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    assert torch.equal(logits(torch.load(file, weights_only=False), prompt), logits(model, prompt))
