"""Every rule in running models: one axis (LLaVA) and three (Qwen2-VL), cached and padded; scopes; what is refused."""

from __future__ import annotations

import pytest
import torch

import bapa
from bapa.errors import SchemeError, UnsupportedModelError
from bapa.layout import Image
from bapa.schemes import SCHEMES, Placement, assign, parse
from bapa.schemes.stride import Stride
from tests.attach import checks
from tests.attach.checks import TWO_IMAGES, close, logits, same
from tests.tiny import FAMILIES

RULES = [name for name in SCHEMES if name not in ("native", "bapa", "id_align")]  # id_align: test_tiles.py
ON = [(rule, name) for rule in RULES for name in ("llava", "qwen2_vl") if parse(rule).axes == 1 or name == "qwen2_vl"]


@pytest.mark.parametrize(("rule", "name"), ON)
def test_rule_in_cached_decoding(rule: str, name: str) -> None:
    checks.cached_equals_recompute(FAMILIES[name], "sdpa", rule)


@pytest.mark.parametrize(("rule", "name"), ON)
def test_rule_in_a_padded_batch(rule: str, name: str) -> None:
    if parse(rule).absolute:
        pytest.skip("its positions count from the start of the row, which padding moves in a plain forward")
    checks.padded_equals_alone(FAMILIES[name], "sdpa", rule)


@pytest.mark.parametrize(("rule", "name"), [pair for pair in ON if pair != ("mrope", "qwen2_vl")])
def test_rule_moves_the_answer_unless_it_is_a_control(rule: str, name: str) -> None:
    family = FAMILIES[name]
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    native = logits(model, inputs)
    moved = (logits(bapa.balance(model, rule), inputs) - native).abs().max()
    assert moved < 1e-4 if rule == "null" else moved > 1e-2


def test_mrope_as_a_rule_is_what_qwen_does() -> None:
    family = FAMILIES["qwen2_vl"]
    model, inputs = family.build(), family.inputs(TWO_IMAGES)
    native = bapa.positions(model, **inputs)
    same(bapa.positions(bapa.balance(model, "mrope"), **inputs), native)


ONE_AXIS = [name for name, family in FAMILIES.items() if not family.mrope]


@pytest.mark.parametrize("name", ONE_AXIS)
def test_a_stride_of_one_is_native_bit_for_bit(name: str) -> None:
    """Also with tags inside the images, between tiles or behind rows."""
    family = FAMILIES[name]
    word = "wide" if "wide" in family.pictures else "image"
    model, inputs = family.build(), family.inputs([["t3", word, "t4", "image", "t2"]])
    native, positions = logits(model, inputs), bapa.positions(model, **inputs)
    bapa.balance(model, "stride:delta=1")
    same(bapa.positions(model, **inputs), positions)
    same(logits(model, inputs), native)


def test_tags_inside_an_image_take_a_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    family = FAMILIES["mistral3"]
    inputs = family.inputs([["t2", "image", "t1"]])  # two rows of three tokens, a break between, an end behind
    found = bapa.positions(bapa.balance(family.build(), "stride"), **inputs)[0, 0].tolist()
    #        text     first row         break  second row      end  text
    assert found == [0, 1, 1.25, 1.5, 1.75, 3, 2.25, 2.5, 2.75, 5, 6]
    place = Stride.place

    def without_tags(self: Stride, image: Image, b: float = 0) -> Placement:
        return place(self, Image(torch.arange(len(image))), b)

    monkeypatch.setattr(Stride, "place", without_tags)
    with pytest.raises(AssertionError):
        test_a_stride_of_one_is_native_bit_for_bit("mistral3")


@pytest.mark.parametrize("refused", ["circle", "bapa:image_attention=ranked", "anchored"])
def test_a_refused_scheme_leaves_the_model_as_it_was(refused: str) -> None:
    family = FAMILIES["llava"]
    model, inputs = bapa.balance(family.build(), "bapa", distance=3), family.inputs(TWO_IMAGES)
    before, hooks = bapa.positions(model, **inputs), checks.hook_count(model)
    words = model.config.get_text_config()
    words._attn_implementation_internal = "flash_attention_2"
    with pytest.raises(SchemeError):
        bapa.balance(model, refused)
    words._attn_implementation_internal = "sdpa"
    assert str(bapa.scheme_of(model)) == "bapa:distance=3"
    assert model.config.bapa["options"] == {"distance": 3}
    assert checks.hook_count(model) == hooks
    same(bapa.positions(model, **inputs), before)


GRIDS = ["llava", "gemma3", "internvl", "qwen2_vl", "qwen3_vl", "mistral3", "fuyu", "glm4v", "gemma3n", "fast_vlm"]
GRIDS += ["hyperclovax_vision_v2", "cosmos3_edge", "deepseek_vl_hybrid", "pp_chart2table", "minimax_m3_vl"]


@pytest.mark.parametrize("name", [name for name in GRIDS if name in FAMILIES])
def test_the_grid_of_a_picture_is_known(name: str) -> None:
    """Concentric positions as integers, from the grid written down with the tiny family's picture."""
    family = FAMILIES[name]
    rows, cols = family.pictures["image"].grid or (0, 0)
    inputs = family.inputs([["t2", "image", "t3"]])
    found = bapa.positions(bapa.balance(family.build(), "concentric"), **inputs)[0, 0]
    feature = family.image_mask(inputs["input_ids"])[0]
    rings = [min(r, rows - 1 - r, c, cols - 1 - c) for r in range(rows) for c in range(cols)]
    assert (found[feature] - found[feature].min()).tolist() == rings


def test_layers_of_the_pyramid_see_positions_of_their_own() -> None:
    family = FAMILIES["llava"]
    model, inputs = family.build(), family.inputs([["t2", "image", "t3"]])
    both = [logits(bapa.balance(model, rule), inputs) for rule in ("concentric", "concentric:merged=1", "pyramid")]
    assert all((both[2] - other).abs().max() > 1e-2 for other in both[:2])
    checks.checkpointing_gives_the_same_gradients(family, "sdpa", "pyramid")


def test_one_axis_cannot_carry_three() -> None:
    with pytest.raises(
        SchemeError, match=r"'circle' needs 3 rotary axes \(M-RoPE\); LlavaForConditionalGeneration has one"
    ):
        bapa.balance(FAMILIES["llava"].build(), "circle")


def test_a_grid_nobody_knows_is_an_error() -> None:
    family = FAMILIES["llava_next"]
    with pytest.raises(SchemeError, match="needs the patch grid"):
        logits(bapa.balance(family.build(), "concentric"), family.inputs(TWO_IMAGES))


@pytest.mark.parametrize("name", ["llava", "paligemma"])
def test_images_side_by_side(name: str) -> None:
    """Two pictures with nothing between them are two images, in a plain forward too."""
    family = FAMILIES[name]
    inputs = family.inputs([["t2", "image", "image", "t3"]])
    n, start = int(family.image_mask(inputs["input_ids"]).sum()) // 2, family.start_index
    wanted = [start, start + 1] + [start + 2] * n + [start + 3] * n + [start + 4, start + 5, start + 6]
    assert bapa.positions(bapa.balance(family.build()), **inputs)[0, 0].tolist()[: len(wanted)] == wanted


def test_scopes() -> None:
    family = FAMILIES["idefics3"]
    inputs = family.inputs([["t1", "image", "t1", "image"]])
    feature = family.image_mask(inputs["input_ids"])[0]
    shared = {}
    for scope in ("image", "tile", "global"):
        model = bapa.balance(family.build(), "bapa", scope=scope)
        shared[scope] = bapa.positions(model, **inputs)[0, 0][feature].unique().numel()
    assert shared == {"image": 2, "tile": 6, "global": 1}


def test_one_word_between_pictures_of_a_tiled_family_is_no_tag() -> None:
    family = FAMILIES["idefics3"]
    ids = torch.tensor([[5, *[family.image_token_id] * 4, 6, *[family.image_token_id] * 4, 7]])
    found = bapa.positions(bapa.balance(family.build()), input_ids=ids)[0, 0]
    assert found.tolist() == [0, 1, 1, 1, 1, 2, 3, 3, 3, 3, 4]


def test_frames_of_a_video() -> None:
    family = FAMILIES["qwen2_vl"]
    inputs = family.inputs([["t2", "video", "t2"]])
    frames = int(inputs["video_grid_thw"][0, 0])
    assert frames > 1
    feature = family.image_mask(inputs["input_ids"])[0]
    for scope, positions in (("image", 1), ("frame", frames)):
        model = bapa.balance(family.build(), "bapa", scope=scope)
        assert bapa.positions(model, **inputs)[0, 0][feature].unique().numel() == positions


def test_a_contrastive_model_is_refused() -> None:
    from transformers import CLIPConfig, CLIPModel

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = CLIPModel(CLIPConfig(text_config=small, vision_config={**small, "image_size": 8, "patch_size": 4}))
    with pytest.raises(UnsupportedModelError, match="no text decoder"):
        bapa.balance(model)


def test_the_sharing_of_rules_over_channels_is_not_trivial(monkeypatch: pytest.MonkeyPatch) -> None:
    """VRoPE deals four position sets over the rotary channels; dealing only the first gives another answer."""
    family = FAMILIES["llava"]
    model, inputs = bapa.balance(family.build(), "vrope"), family.inputs([["t2", "image", "t3"]])
    right = logits(model, inputs)
    balance = assign.balance

    def first_only(native: torch.Tensor, *rest: object) -> assign.Balanced:
        found = balance(native, *rest)
        return assign.Balanced(found.positions[:1].expand(4, -1, -1), found.raster_end, found.native_end, found.end)

    monkeypatch.setattr(assign, "balance", first_only)
    with pytest.raises(AssertionError):
        close(logits(model, inputs), right)
