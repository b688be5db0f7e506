"""Calibrated balance in running models: positions, logits, caches, padding, and the choice in the config."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import bapa
from bapa.errors import SchemeError
from bapa.schemes import Placement
from bapa.schemes.calibrated import Calibrated
from bapa.schemes.native import Native
from tests.attach import checks
from tests.attach.checks import TWO_IMAGES, logits, same
from tests.tiny import FAMILIES

DIALS = ["calibrated:distance=0.6x", "calibrated:distance=0.7x,delta=0.25"]
ONE, THREE = ["llava", "gemma3", "idefics3"], ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v"]


def native_point_is_native(name: str) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    before, positions = logits(model, inputs), bapa.positions(model, **inputs)
    bapa.balance(model, "calibrated", distance="native", delta=1)
    same(bapa.positions(model, **inputs), positions)
    same(logits(model, inputs), before)


@pytest.mark.parametrize("name", ONE + THREE)
def test_native_is_a_point_bit_for_bit(name: str) -> None:
    native_point_is_native(name)


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_a_text_one_step_late_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Calibrated.compress

    def late(self: Calibrated, native: Placement) -> Placement:
        return replace(found := right(self, native), resume=found.resume + 1)

    monkeypatch.setattr(Calibrated, "compress", late)
    with pytest.raises(AssertionError):
        native_point_is_native(name)


@pytest.mark.parametrize("name", ONE + THREE)
def test_bapa_is_a_point_bit_for_bit(name: str) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    wanted = logits(bapa.balance(model, "bapa", distance=5), inputs)
    same(logits(bapa.balance(model, "calibrated", distance=5), inputs), wanted)
    moved = logits(bapa.balance(model, "calibrated", distance=6), inputs)
    assert (moved - wanted).abs().max() > 1e-3


@pytest.mark.parametrize("scheme", DIALS)
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_caches_and_padding(name: str, scheme: str) -> None:
    checks.cached_equals_recompute(FAMILIES[name], "sdpa", scheme)
    checks.padded_equals_alone(FAMILIES[name], "sdpa", scheme)


def test_rows_and_columns_are_compressed_on_axes_of_their_own() -> None:
    family = FAMILIES["qwen2_5_vl"]
    inputs = family.inputs([["t2", "image", "t3"]])
    feature = family.image_mask(inputs["input_ids"])[0]
    native, found = (
        bapa.positions(bapa.balance(family.build(), scheme), **inputs)[:, 0, feature]
        for scheme in ("native", "calibrated:distance=native,delta=0.5")
    )
    same((found - found[:, :1]).double(), (native - native[:, :1]).double() / 2)


def test_a_video_has_no_grid_to_compress_but_can_share_one_position() -> None:
    family = FAMILIES["qwen2_vl"]
    inputs = family.inputs([["t2", "video", "t2"]])
    bapa.positions(bapa.balance(family.build(), "calibrated:distance=9"), **inputs)
    bapa.positions(bapa.balance(family.build(), "calibrated:distance=0.6x,scope=frame"), **inputs)
    with pytest.raises(SchemeError, match="needs the patch grid"):
        bapa.positions(bapa.balance(family.build(), "calibrated:distance=0.6x"), **inputs)


def test_the_choice_survives_saving(tmp_path: Path) -> None:
    model = bapa.balance(FAMILIES["llava"].build(), "calibrated", distance="0.49x", delta=0.1)
    model.save_pretrained(tmp_path)
    again = bapa.from_pretrained(tmp_path)
    assert bapa.scheme_of(again) == Calibrated(distance="0.49x", delta=0.1)
    assert bapa.scheme_of(bapa.restore(again)) in (None, Native())
