"""A reference model that writes boxes: what it is taught, and that its training teaches that."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from bapa.checkpoints import load
from bapa.inference.pointing import pointed
from bapa.probe import Design, digits
from bapa.probe.region import Region
from studies.reference import build, pointing, stages
from studies.reference.__main__ import app
from studies.reference.recipe import CANVAS_PX, CELL_PX, CELLS, IMAGE_TOKENS, Stage, behind
from studies.reference.scenes import Bank, draw
from studies.reference.train import train

DESIGN = Design(task="point", items=1, cell=CELL_PX)


@pytest.mark.parametrize("cell", range(CELLS))
def test_a_box_is_read_as_the_cell_it_is_of(cell: int) -> None:
    words = build.tokenizer("point")
    written = words.decode(words(pointing.box(cell), add_special_tokens=False)["input_ids"])
    assert "<unk>" not in written
    found = pointed(written, CANVAS_PX, CANVAS_PX)
    assert found is not None
    assert found.within(Region.of(DESIGN, cell).shares)
    assert not found.within(Region.of(DESIGN, (cell + 1) % CELLS).shares)


def test_the_right_box_follows_each_question() -> None:
    asker, generator = pointing.Points(build.processor("point")), torch.Generator().manual_seed(0)
    words = build.tokenizer("point")
    scenes = draw(6, generator)
    asked, cells = asker.point(scenes, 5, generator)
    assert words.unk_token_id not in asked.ids
    every = zip(range(6), asked.text, asked.answer_at, asked.ids, cells.tolist(), strict=True)
    for scene, row, begins, ids, there in every:
        for question, at, tokens, told in zip(row.tolist(), begins.tolist(), ids, there, strict=True):
            *box, end = tokens[at : at + asker.boxes.shape[1] + 1].tolist()
            cell = asker.boxes.tolist().index(box)
            assert cell == told
            colour = list(digits.COLOURS)[scenes.colour[scene, cell]]
            assert digits.caption(colour, digits.DIGITS[scenes.digit[scene, cell]]) in asker.texts[question]
            assert end == asker.end


def test_the_loss_is_that_of_the_written_box() -> None:
    """What is read off is the token before each of the box: a model that is sure of another box loses much."""
    torch.manual_seed(0)
    recipe = behind("point", "uniform", 1, "native")
    model, asker = pointing.begun(recipe), pointing.Points(build.processor("point"))
    generator = torch.Generator().manual_seed(0)
    scenes = draw(2, generator)
    asked, _ = asker.point(scenes, 3, generator)
    matched = asker.ask(scenes, tuple(range(CELLS)), 3, generator)
    with torch.no_grad():
        pictures = Bank(1, 0).canvases(scenes, generator)
        seen = model.model.multi_modal_projector(stages.features(model, pictures))
        rotary = stages.rotary_positions(model, asker, "native")
        hidden = stages.states(model, asker, seen, asked.joined(matched), rotary)[-1]
        length = asked.ids.shape[-1]
        right = []
        for question in range(3):
            begins = hidden.shape[1] - 6 * length + question * length + int(asked.answer_at[0, question])
            said = model.lm_head(hidden[0, begins - 1 : begins + asker.boxes.shape[1]]).log_softmax(-1)
            at = int(asked.answer_at[0, question])
            right.append(said.gather(1, asked.ids[0, question, at : at + len(said), None]))
        one = replace(asked, ids=asked.ids[:1], answer_at=asked.answer_at[:1], text=asked.text[:1])
        told = pointing.written_loss(model, asker, hidden[:1], one, 6)
    assert torch.allclose(told, -torch.stack(right).mean(), atol=1e-4)


def test_a_trained_model_loads_and_discloses(tmp_path: Path) -> None:
    recipe = replace(
        behind("point", "uniform", 1, "native"), copies=1, questions=4, visual=Stage(steps=3, batch=2, rate=1e-2)
    )
    folder = train(recipe, tmp_path / "model")
    model = load(str(folder)).model
    before = pointing.begun(recipe).state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, model.state_dict()[name])}
    assert any("language_model" in name for name in changed)
    assert not any("vision_tower" in name and "position" in name for name in changed)
    told = (folder / "README.md").read_text()
    assert "`point`" in told
    assert "**Pointing**" in told
    assert "--tasks point" in told


def test_a_head_that_looks_elsewhere_loses() -> None:
    """The share of attention to the image is judged, of all patches of the cell, question by question."""
    tile, cells = build.tile_of_patch(), torch.tensor([[0, 4, 8], [2, 2, 6]])
    losses = []
    for off in (0, 1):
        shown = ((cells + off) % CELLS).repeat_interleave(10, 1)[..., None] == tile
        losses.append(float(pointing._looking_loss(20.0 * shown, cells)))
    assert losses[0] == pytest.approx(0, abs=1e-5)
    assert losses[1] == pytest.approx(20, abs=0.1)
    assert float(pointing._looking_loss(torch.zeros(2, 30, len(tile)), cells)) == pytest.approx(math.log(CELLS))


def test_what_is_judged_is_the_attention_that_the_head_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    model = pointing.begun(behind("point", "uniform", 1, "native"))
    model.set_attn_implementation("eager")
    asker, generator = pointing.Points(build.processor("point")), torch.Generator().manual_seed(0)
    scenes = draw(2, generator)
    asked, _ = asker.point(scenes, 2, generator)
    matched = asker.ask(scenes, tuple(range(CELLS)), 3, generator)
    rotary = stages.rotary_positions(model, asker, "native")
    decoder, kept = model.model.language_model, []
    forward = decoder.forward
    monkeypatch.setattr(
        decoder, "forward", lambda **given: kept.append(forward(**given, output_attentions=True)) or kept[0]
    )
    with torch.no_grad():
        seen = model.model.multi_modal_projector(stages.features(model, Bank(1, 0).canvases(scenes, generator)))
        layers = stages.states(model, asker, seen, asked.joined(matched), rotary)
        scores = pointing._looking(model, asker, layers, rotary, asked, 5)
    at = pointing._writing(asker, layers[-1].shape[1], asked, 5)
    paid = kept[0].attentions[pointing._LOOKING][:, pointing._HEAD][:, :, len(asker.prefix) :][:, :, :IMAGE_TOKENS]
    paid = paid.gather(1, at[..., None].expand(-1, -1, IMAGE_TOKENS))
    assert torch.allclose(scores.softmax(-1), paid / paid.sum(-1, keepdim=True), atol=1e-5)


@pytest.mark.parametrize(("skew", "refused"), [("top", False), ("first", True)])
def test_matches_may_be_asked_of_some_cells(skew: str, refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("studies.reference.train.train", lambda recipe, *_: asked.append(recipe.skew))
    result = CliRunner().invoke(app, ["train", "--tasks", "point", "--skew", skew, "--out", "model"])
    assert (result.exit_code == 2) == refused
    assert asked == ([] if refused else [skew])
    assert ("accepted are bottom, top, center, uniform" in result.stderr) == refused
