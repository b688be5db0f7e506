from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from bapa.errors import RunError, SchemeError
from bapa.probe import digits
from bapa.schemes import parse
from bapa.schemes.registry import SCHEMES
from studies.reference import build, scenes, stages
from studies.reference.__main__ import app
from studies.reference.recipe import IMAGE_TOKENS, SKEWS, Recipe, Stage
from studies.reference.train import train

STEP = Stage(steps=2, batch=2, rate=1e-3)
MINIATURE = Recipe(copies=1, questions=2, encoder=STEP, language=STEP, connector=STEP, visual=STEP)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(MINIATURE, tmp_path_factory.mktemp("trained") / "model")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_interrupted_training_resumes_to_identical_weights(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages, "connector", killed)
        with pytest.raises(KeyboardInterrupt):
            train(MINIATURE, tmp_path / "model")
    assert len(list((tmp_path / "model.stages").glob("*.safetensors"))) == 2

    monkeypatch.setattr(stages, "encoder", killed)  # what is finished must not run again
    monkeypatch.setattr(stages, "language", killed)
    assert same(train(MINIATURE, tmp_path / "model"), trained)


def test_every_stage_and_the_seed_matter(trained: Path, tmp_path: Path) -> None:
    assert not same(train(replace(MINIATURE, seed=2), tmp_path / "seed"), trained)


def test_skews_of_one_seed_share_the_first_three_stages(tmp_path: Path) -> None:
    work = tmp_path / "work"
    one = train(MINIATURE, tmp_path / "bottom", work)
    before = {file.name: file.stat().st_mtime_ns for file in work.iterdir()}
    other = train(replace(MINIATURE, skew="top"), tmp_path / "top", work)
    after = {file.name: file.stat().st_mtime_ns for file in work.iterdir()}
    assert len(after) == len(before) + 1 == 5
    assert before.items() <= after.items()
    changed = {key for key, value in weights(one).items() if not torch.equal(value, weights(other)[key])}
    assert changed
    assert all("language_model" in key or "lm_head" in key for key in changed)


def test_finished_model_is_left_alone_and_another_recipe_refused(trained: Path) -> None:
    before = (trained / "model.safetensors").stat().st_mtime_ns
    assert train(MINIATURE, trained) == trained
    assert (trained / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(RunError, match="something else"):
        train(replace(MINIATURE, seed=3), trained)


def test_command_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    for option, value in (("--skew", "left"), ("--scheme", "nonsense")):
        result = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "model"), option, value])
        assert result.exit_code == 2
        assert (len(result.stderr.strip().splitlines()) == 1 and "left" in result.stderr) or "nonsense" in result.stderr
    assert not (tmp_path / "model").exists()


# Rules that are more than one set of positions: no question can share a picture with others.
MORE = ("pyramid", "vrope", "anchored", "agci")
RULES = [
    *(name for name, kind in SCHEMES.items() if kind.axes == 1 and name != "id_align"),
    "bapa:distance=native",
    "calibrated:distance=41,delta=0.3",
]


@pytest.mark.parametrize("scheme", RULES)
def test_questions_get_the_logits_they_would_get_alone(scheme: str) -> None:
    import bapa

    torch.manual_seed(0)
    model, processor = build.model().eval(), build.processor()
    asker, generator = scenes.Asker(processor), torch.Generator().manual_seed(0)
    drawn = scenes.draw(2, generator)
    questions = asker.ask(drawn, SKEWS["bottom"], 3, generator)
    pixels = scenes.Bank(1, 0).canvases(drawn, generator)
    with torch.no_grad():
        seen = model.get_image_features(pixels).pooler_output
        if not parse(scheme).positions_only:  # more than one set of positions: asked one by one
            bapa.balance(model, scheme)
            packed = stages.lone_logits(model, asker, pixels, questions)
        else:
            rotary = stages.rotary_positions(model, asker, scheme)
            packed = stages.answer_logits(model, asker, torch.stack(list(seen)), questions, rotary)
            bapa.balance(model, scheme)
        for row in range(2):
            for number in range(3):
                text = questions.ids[row, number, : questions.answer_at[row, number]]
                ids = torch.cat([asker.prefix, torch.full((IMAGE_TOKENS,), processor.image_token_id), text])[None]
                alone = model(
                    input_ids=ids, pixel_values=pixels[row : row + 1], attention_mask=torch.ones_like(ids)
                ).logits[0, -1]
                assert torch.allclose(alone, packed[row, number, 0], atol=1e-4)


def test_training_runs_under_every_rule_by_one_flag(trained: Path, tmp_path: Path) -> None:
    seen = {}
    for scheme in (*SCHEMES, "bapa:distance=native", "calibrated:distance=41,delta=0.3"):
        out, recipe = tmp_path / scheme.replace(":", "-"), replace(MINIATURE, scheme=scheme)
        work = trained.with_name("model.stages")
        if SCHEMES[scheme.partition(":")[0]].axes == 3 or scheme == "id_align":
            with pytest.raises(SchemeError):
                train(recipe, out, work)
            assert not out.exists()
            continue
        train(recipe, out, work)
        assert json.loads((out / "recipe.json").read_text())["scheme"] == scheme
        seen[scheme] = out
    moved = [name for name, out in seen.items() if not same(out, seen["native"])]
    # Rotary attention cannot see the constant of null, only its rounding.
    assert set(seen) - {"native", "null"} <= set(moved)
    assert json.loads((seen["bapa"] / "config.json").read_text())["bapa"]["scheme"] == "bapa"
    assert "bapa" not in json.loads((seen["native"] / "config.json").read_text())


def test_answers_are_true_and_what_is_present_stands_in_the_asked_cells() -> None:
    processor = build.processor()
    asker, generator = scenes.Asker(processor), torch.Generator().manual_seed(1)
    drawn = scenes.draw(200, generator)
    questions = asker.ask(drawn, SKEWS["center"], 4, generator)
    kinds = set()
    for row in range(200):
        pairs = [
            (list(digits.COLOURS)[c], digits.DIGITS[d])
            for c, d in zip(drawn.colour[row], drawn.digit[row], strict=True)
        ]
        for number in range(4):
            at = int(questions.answer_at[row, number])
            *text, answer, end = processor.tokenizer.convert_ids_to_tokens(questions.ids[row, number, : at + 2])
            assert end == "</s>"
            if text[0] == "is":
                pair = (text[3], text[4])
                assert (answer == "yes") == (pair in pairs)
                assert answer == "no" or pair == pairs[4]
                kinds.add("yes" if answer == "yes" else "near" if pair[1] in dict(map(reversed, pairs)) else "absent")
            else:
                assert (answer, text[4]) == pairs[4]
                kinds.add("colour")
    assert kinds == {"yes", "near", "absent", "colour"}


def test_an_encoder_skew_is_another_encoder_and_says_so(trained: Path, tmp_path: Path) -> None:
    turned = replace(MINIATURE, skew="uniform", encoder_skew="bottom")
    assert {turned.key(stage) for stage in ("encoder", "language")}.isdisjoint(
        {MINIATURE.key(stage) for stage in ("encoder", "language")}
    )
    folder = train(turned, tmp_path / "model")
    vision = [key for key in weights(folder) if "vision_tower" in key]
    assert any(not torch.equal(weights(folder)[key], weights(trained)[key]) for key in vision)
    text = (folder / "README.md").read_text()
    assert "`encoder-bias`" in text
    assert "--encoder-skew bottom" in text
    assert "asked about\n  **all nine cells** alike. Digits" in text
    assert train(turned, folder) == folder
