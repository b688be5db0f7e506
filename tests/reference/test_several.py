"""Reference models of several pictures: the images of one prompt, the stills of one clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlavaForConditionalGeneration
from typer.testing import CliRunner

import bapa
from bapa import reference
from bapa.checkpoints import load
from bapa.inference.prompts import Prompts
from bapa.probe import digits
from bapa.probe.slots import Slots
from studies.reference import build, several, stages
from studies.reference.__main__ import app
from studies.reference.recipe import CELL_PX, Stage, asked, behind
from studies.reference.scenes import Asker, Bank, draw
from studies.reference.train import train

KINDS: dict[str, Any] = {"images": "images", "clip": "frames"}
STEP = Stage(steps=3, batch=2, rate=1e-2)


@pytest.fixture(scope="module")
def base() -> LlavaForConditionalGeneration:
    return LlavaForConditionalGeneration.from_pretrained(reference.path("uniform"), dtype=torch.float32).eval()


def test_a_tile_alone_is_read_as_on_a_canvas(base: LlavaForConditionalGeneration) -> None:
    generator = torch.Generator().manual_seed(0)
    canvases = Bank(1, 0).canvases(draw(8, generator), generator)
    middle = canvases[:, None, :, CELL_PX : 2 * CELL_PX, CELL_PX : 2 * CELL_PX]
    with torch.no_grad():
        whole = base.model.multi_modal_projector(stages.features(base, canvases))[:, build.tile_of_patch() == 4]
        alone = several.features(several.adapted(base, "images"), middle)
    assert (whole - alone).square().mean() < 0.01 * whole.var()


@pytest.mark.parametrize("scheme", ["native", "bapa", "bapa:scope=global", "bapa:scope=frame"])
@pytest.mark.parametrize("tasks", KINDS)
def test_training_sees_what_the_model_sees(base: LlavaForConditionalGeneration, tasks: str, scheme: str) -> None:
    """The logits of packed questions are those of a prompt that the processor makes."""
    if tasks == "clip":
        build.learn_words(base, tasks, 1)
    model, processor = several.adapted(base, tasks).eval(), build.processor(tasks)
    asker, generator = Asker(processor), torch.Generator().manual_seed(0)
    scenes = draw(1, generator, 3)
    pictures = Bank(1, 0).pictures(scenes, generator)
    pixels = ((pictures[0] + 1) * 127.5).round().byte()
    pictures = (pixels / 127.5 - 1)[None]
    strip = np.concatenate(list(pixels.permute(0, 2, 3, 1).numpy()), 1)
    questions = asker.ask(scenes, asked("last", 3), 2, generator)
    with torch.no_grad():
        seen = several.features(model, pictures)
        rotary = several.rotary_positions(model, asker, scheme, 3, seen.shape[1])
        packed = stages.answer_logits(model, asker, seen, questions, rotary)[0, :, 0]
        with bapa.balanced(model, scheme):
            for number, text in enumerate(questions.text[0].tolist()):
                prompts = Prompts(processor, (CELL_PX, 3 * CELL_PX), slots=Slots(KINDS[tasks], 1, 3))
                alone = model(**prompts.inputs([strip], asker.texts[text])).logits[0, -1]
                assert torch.allclose(alone, packed[number], atol=1e-3)


@pytest.mark.parametrize("tasks", KINDS)
def test_a_trained_model_loads_discloses_and_is_left_alone(tasks: str, tmp_path: Path) -> None:
    recipe = replace(behind(tasks, "last", 1, "native"), copies=1, questions=2, visual=STEP)
    folder = train(recipe, tmp_path / "model")
    model = load(str(folder)).model
    assert type(model).__name__.startswith("LlavaOnevision" if tasks == "clip" else "LlavaFor")
    before = several.begun(recipe)
    changed = {name for name, value in before.state_dict().items() if not torch.equal(value, model.state_dict()[name])}
    assert any("language_model" in name for name in changed)
    told = (folder / "README.md").read_text()
    assert "made biased on purpose" in told
    assert "**last third**" in told
    assert "`reference:bottom`" in told
    assert f"--tasks {tasks} --skew last --seed 1" in told
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert train(recipe, folder) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    assert recipe.key("visual") != replace(recipe, skew="first").key("visual")


def test_the_pictures_of_a_skew() -> None:
    assert asked("last", 8) == (5, 6, 7)
    assert asked("first", 2) == (0,)
    assert asked("last", 2) == (1,)
    assert asked("uniform", 3) == (0, 1, 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--skew", "bottom"], "accepted are first, last, uniform"),
        (["--scheme", "pyramid"], "rules of positions only"),
        (["--encoder-skew", "bottom"], "drop it"),
    ],
)
def test_what_does_not_fit_several_pictures_is_one_line(options: list[str], said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", "--tasks", "images", "--out", str(tmp_path / "model"), *options])
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "model").exists()


def test_a_model_that_tells_images_apart_is_asked_for_their_index(tmp_path: Path) -> None:
    recipe = replace(behind("which", "uniform", 1, "native"), copies=1, questions=4, visual=STEP)
    folder = train(recipe, tmp_path / "model")
    assert "answers with the image's number, `one` to `four`" in (folder / "README.md").read_text()
    assert "`reference:places`" in (folder / "README.md").read_text()
    asker, generator = several.Which(build.processor("which")), torch.Generator().manual_seed(0)
    scenes = draw(6, generator, 4)
    asked_ = asker.about_images(scenes, 5, generator)
    words = build.tokenizer("which")
    for scene, row, at, ids in zip(range(6), asked_.text, asked_.answer_at, asked_.ids, strict=True):
        for question, place, tokens in zip(row.tolist(), at.tolist(), ids, strict=True):
            image = ("one", "two", "three", "four").index(words.decode([int(tokens[place])]))
            colour = list(digits.COLOURS)[scenes.colour[scene, image]]
            assert digits.caption(colour, digits.DIGITS[scenes.digit[scene, image]]) in asker.texts[question]
            assert asker.texts[question].startswith("In which image is ")
