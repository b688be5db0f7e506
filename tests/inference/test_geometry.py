"""How cells fall on image tokens, by processors that scale, that list patches, and that crop."""

from __future__ import annotations

import pytest
import torch
from transformers import CLIPImageProcessor, Qwen2VLImageProcessor

from bapa.inference.geometry import geometry
from bapa.inference.prompts import Prompts
from bapa.probe import Design, build
from bapa.report import claims
from studies.reference.build import model, processor
from tests.tiny import FAMILIES


@pytest.fixture
def made(tmp_path):
    return lambda **design: build("digits", tmp_path / "probe", Design(items=2, **design))


class Shown(Prompts):
    """Prompts whose pictures another processor prepares; the text is that of the reference model."""

    def __init__(self, probe, images, ids):
        super().__init__(processor(), (probe.height, probe.width))
        self.images, self.ids = images, ids

    def inputs(self, canvases, text):
        found = dict(self.images(images=list(canvases), return_tensors="pt"))
        return {"input_ids": self.ids, **found}


def reference(probe):
    return geometry(model().config, Prompts(processor(), (probe.height, probe.width)), probe)


def test_cells_of_whole_tokens_share_none(made):
    assert reference(made()) == {"tokens": [9, 9], "cell": [9.0, 9.0], "shared": 0, "reason": None}


def test_cells_that_cut_tokens_are_counted(made):
    """Four cells in a line on nine tokens."""
    found = reference(made(rows=4, cols=4, cell=18))
    assert found["tokens"] == [9, 9]
    assert found["shared"] == 16
    assert found["cell"] == pytest.approx([81 / 16] * 2, abs=0.01)


@pytest.mark.parametrize(
    ("slots", "reason"),
    [
        ("images:3", "every slot is a picture of its own"),
        ("frames:3", "every slot is a picture of its own"),
        ("sizes:3", "the target stands in the middle of one picture and changes itself"),
        ("aspects:3", "the target stands in the middle of one picture and changes itself"),
    ],
)
def test_slots_that_are_no_cells_say_why_nothing_is_told(made, slots, reason):
    assert reference(made(slots=slots)) == {"tokens": None, "cell": None, "shared": None, "reason": reason}


@pytest.mark.parametrize(("cell", "shared"), [(112, 0), (84, 0), (70, 9), (98, 9)])
def test_patches_that_are_listed_token_by_token(made, cell, shared):
    """Tokens of 28 px: cells of 112 and 84 px hold 4 and 3, those of 70 and 98 px two and a half, three and a half."""
    config = FAMILIES["qwen2_vl"].build().config
    probe = made(cell=cell)
    images = Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=10**7)
    thw = images(images=[probe.compose(probe.items[0], 0)], return_tensors="pt")["image_grid_thw"][0].tolist()
    ids = torch.tensor([[5, *[config.image_token_id] * (thw[1] * thw[2] // 4), 6]])
    found = geometry(config, Shown(probe, images, ids), probe)
    assert found["tokens"] == [thw[1] // 2, thw[2] // 2]
    assert (found["shared"] > 0) == (shared > 0)
    assert found["cell"][1] == pytest.approx((thw[1] / 6) * (thw[2] / 6), rel=0.1)


def test_what_a_processor_crops_is_seen(made):
    """CLIP's processor scales the short side and cuts the long one off: the outer columns lose their tokens."""
    config = FAMILIES["llava"].build().config
    probe = made(rows=2, cols=4, cell=24)
    images = CLIPImageProcessor(size={"shortest_edge": 12}, crop_size=12)
    ids = torch.tensor([[5, *[config.image_token_id] * 9, 6]])
    found = geometry(config, Shown(probe, images, ids), probe)
    assert found["cell"][0] < 0.2 < found["cell"][1]


def test_a_page_warns_and_names_the_command():
    bias = {
        "geometry": {"tokens": [16, 16], "cell": [28.4, 28.4], "shared": 9, "reason": None},
        "probe": {"rows": 3, "cols": 3, "source": "digits"},
        "model": {"name": "org/model"},
    }
    assert "9 of 9 cells share tokens" in claims.cut(bias)
    assert claims.cut(bias).endswith("bapa probe digits --align org/model --out PROBE")
    whole = {"tokens": [24, 24], "cell": [64.0, 64.0], "shared": 0, "reason": None}
    assert claims.cut({**bias, "geometry": whole}) == ""
    assert claims.cut({**bias, "geometry": {**whole, "cell": [8.0, 64.0]}}) != "", "cropped"
    assert claims.cut({"probe": bias["probe"]}) == "", "a run made before this was recorded"
