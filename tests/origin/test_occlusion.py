from __future__ import annotations

import numpy as np
import pytest

from bapa.checkpoints import Loaded
from bapa.errors import ConfigError
from bapa.inference.forward import Forward
from bapa.inference.plan import plan
from bapa.inference.prompts import Prompts
from bapa.origin.occlusion import Masks, Occluder, agreement, by_cell, filling, hidden, painted
from bapa.probe import Probe


@pytest.fixture
def forward(tiny: Loaded, probe: Probe) -> Forward:
    prompts = Prompts(tiny.processor, (probe.height, probe.width))
    return Forward(tiny.model, prompts, plan(probe, prompts, len(probe.items), 9).shared)


@pytest.mark.parametrize("masks", [Masks(24, 24), Masks(30, 21, "noise", 3), Masks(40, 32, "#ff0000", 2)])
def test_batches_give_the_map_that_one_by_one_gives(forward: Forward, probe: Probe, masks: Masks) -> None:
    item = probe.items[0]
    canvas, questions = probe.compose(item, 5), probe.questions(item, 5)
    found = Occluder(forward, probe.colour, masks).map(canvas, questions)
    assert found.shape == (len(questions), *masks.shape(72, 72))
    ids = {answer: forward.prompts.processor.tokenizer.convert_tokens_to_ids(answer) for answer in ("yes", "no")}
    filled = filling(canvas, masks.fill, probe.colour)
    for number, question in enumerate(questions):

        def margin(pixels: np.ndarray, text: str = question.text) -> float:
            logits = forward.alone(pixels, text)
            return float(logits[ids["yes"]] - logits[ids["no"]])

        plain = margin(canvas)
        wanted = [plain - margin(hidden(canvas, filled, box, masks.size)) for box in masks.boxes(72, 72)]
        assert found[number].ravel() == pytest.approx(wanted, abs=1e-4)
    assert np.ptp(found) > 1e-4, "nothing happened: the check could not fail"


def test_hiding_processed_pixels_is_only_done_where_it_is_the_same(forward: Forward, probe: Probe) -> None:
    item = probe.items[0]
    same = Occluder(forward, probe.colour, Masks(24, 24))
    same.map(probe.compose(item, 0), probe.questions(item, 0))
    assert same.commutes is True
    larger = np.repeat(np.repeat(probe.compose(item, 0), 2, 0), 2, 1)  # the processor makes it smaller first
    resized = Occluder(forward, probe.colour, Masks(48, 48))
    resized.map(larger, probe.questions(item, 0))
    assert resized.commutes is False


def test_masks_cover_the_canvas_to_its_edges() -> None:
    boxes = Masks(10, 8).boxes(30, 25)
    assert boxes[0] == (0, 0)
    assert boxes[-1] == (20, 15)
    assert Masks(10, 8).shape(30, 25) == (4, 3)
    covered = np.zeros((30, 25), bool)
    for top, left in boxes:
        covered[top : top + 10, left : left + 10] = True
    assert covered.all()
    with pytest.raises(ConfigError, match="do not fit a canvas of 25 x 30"):
        Masks(26, 8).boxes(30, 25)


def test_fills() -> None:
    canvas = np.zeros((4, 4, 3), np.uint8)
    canvas[:2] = 100
    assert (filling(canvas, "mean", (1, 2, 3)) == 50).all()
    assert (filling(canvas, "ground", (1, 2, 3)) == [1, 2, 3]).all()
    assert (filling(canvas, "#0a0b0c", (1, 2, 3)) == [10, 11, 12]).all()
    assert len(np.unique(filling(canvas, "noise", (1, 2, 3)))) > 10
    for wrong in ("red", "#12", "#gggggg"):
        with pytest.raises(ConfigError, match="accepted are mean, ground"):
            filling(canvas, wrong, (1, 2, 3))


def test_agreement_with_the_key_s_cell() -> None:
    drops = np.zeros((6, 6))  # 3 x 3 cells of 4 px
    drops[2:4, 2:4] = [[3, 2], [2, 2]]
    values = painted(drops, Masks(2, 2), 12, 12)
    assert agreement(values, 4, 3, 3) == {"pointing": 1.0, "iou": 1.0}
    assert agreement(values, 0, 3, 3) == {"pointing": 0.0, "iou": 0.0}
    assert by_cell(values, 3, 3).tolist() == [0, 0, 0, 0, 2.25, 0, 0, 0, 0]


def test_overlapping_masks_are_averaged() -> None:
    values = painted(np.array([[1.0, 3.0]]), Masks(4, 2), 4, 6)
    assert values[0].tolist() == [1, 1, 2, 2, 3, 3]
