from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor

from bapa.probe import Design, Probe, build, digits
from studies.reference import build as parts
from studies.reference.places import Places
from studies.reference.recipe import SKEWS
from studies.reference.scenes import Scenes, draw, repeat
from studies.reference.train import train
from tests.reference.test_training import MINIATURE, STEP


@pytest.fixture(scope="module")
def asker() -> Places:
    return Places(parts.processor("places"))


def test_every_answer_is_what_the_scene_shows(asker: Places) -> None:
    generator = torch.Generator().manual_seed(3)
    scenes = asker.draw(48, generator)
    questions = asker.ask(scenes, SKEWS["uniform"], 9, generator)
    says = {number: word for word, number in parts.tokenizer("places").get_vocab().items()}
    kinds: Counter[str] = Counter()
    for scene, row, ids, ends in zip(
        *scene_of(scenes), questions.text, questions.ids, questions.answer_at, strict=True
    ):
        for text, tokens, at in zip(row.tolist(), ids, ends.tolist(), strict=True):
            kinds[check(asker.texts[text], says[int(tokens[at])], scene)] += 1
            assert tokens[at + 1] == asker.end
    assert min(kinds[kind] for kind in ("where", "count", "order", "match")) > 20


def scene_of(scenes: Scenes) -> tuple[list[list[str]]]:
    """Each scene as its captions, row by row."""
    colours = list(digits.COLOURS)
    return (
        [
            [digits.caption(colours[colour], digits.DIGITS[digit]) for colour, digit in zip(*scene, strict=True)]
            for scene in zip(scenes.colour.tolist(), scenes.digit.tolist(), strict=True)
        ],
    )


def check(text: str, answer: str, scene: list[str]) -> str:
    if text.startswith("In which row is "):
        caption = text.removeprefix("In which row is ").partition("?")[0]
        assert answer == ("top", "middle", "bottom")[scene.index(caption) // 3]
        return "where"
    if text.startswith("How many "):
        digit = text.split()[2]
        assert answer == ("one", "two", "three", "four")[min(sum(c.endswith(digit) for c in scene), 4) - 1]
        return "count"
    if " before " in text:
        one, other = text.removeprefix("Is ").partition("?")[0].split(" before ")
        assert answer == ("yes" if scene.index(one) < scene.index(other) else "no")
        return "order"
    return "match"


def test_numbers_up_to_four_are_common_and_colours_stay() -> None:
    scenes = draw(200, torch.Generator().manual_seed(1))
    more = repeat(scenes, torch.Generator().manual_seed(2))
    assert torch.equal(more.colour, scenes.colour)
    most = torch.stack([(more.digit == digit).sum(1) for digit in range(10)]).amax(0)
    plain = torch.stack([(scenes.digit == digit).sum(1) for digit in range(10)]).amax(0)
    assert (most >= 4).float().mean() > 2 * (plain >= 4).float().mean()


def test_the_words_are_those_of_the_probe(asker: Places, tmp_path: Path) -> None:
    words = parts.tokenizer("places")
    options: dict[str, dict[str, list[str]]] = {"where": {"lines": ["row"]}, "order": {}, "count": {}}
    for task, its in options.items():
        probe = Probe.load(build("digits", tmp_path / task, Design(items=6, task=task, **its)).path)
        for question in probe.questions(probe.items[0], 0):
            assert words.unk_token_id not in words(question.text)["input_ids"]
            assert words.unk_token_id not in words.convert_tokens_to_ids(list(question.choices))
            assert question.text in asker.texts


def test_the_recipe_of_places_is_another_and_says_so(tmp_path: Path) -> None:
    recipe = replace(MINIATURE, tasks="places", places=STEP, skew="uniform")
    folder = train(recipe, tmp_path / "model")
    assert "`places`" in (folder / "README.md").read_text()
    assert "before" in AutoProcessor.from_pretrained(folder).tokenizer.get_vocab()
    assert recipe.key("connector") == replace(recipe, tasks="match").key("connector")  # they share three stages
    assert recipe.key("visual") != replace(recipe, tasks="match").key("visual")
