from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration

import bapa
from bapa import reference
from bapa.checkpoints import load
from bapa.errors import ConfigError
from bapa.probe import digits
from studies.reference.card import card
from studies.reference.recipe import CELLS, SKEWS, Recipe, Stage
from studies.reference.scenes import COLOUR_QUESTION


@pytest.fixture(scope="module", params=reference.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def prompt(processor: object, text: str) -> str:
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}
    return processor.apply_chat_template([message], add_generation_prompt=True)  # type: ignore[attr-defined]


def canvas(pairs: list[tuple[str, str]], seed: int = 0) -> Image.Image:
    """Nine held-out digits, row by row."""
    rng, scans = np.random.default_rng(seed), digits.scans("probe")
    tiles = []
    for colour, digit in pairs:
        scan = rng.choice(scans[digits.labels()[scans] == digits.DIGITS.index(digit)])
        tiles.append(digits.render(int(scan), colour, size=24, seed=seed))
    rows = [np.concatenate(tiles[start : start + 3], axis=1) for start in (0, 3, 6)]
    return Image.fromarray(np.concatenate(rows))


SCENE = list(zip([*digits.COLOURS, "red"], digits.DIGITS[:9], strict=True))


def recipe_of(name: str) -> Recipe:
    """What a shipped model was made from."""
    others = {
        "encoder-bias": Recipe(skew="uniform", encoder_skew="bottom"),
        "places": Recipe(skew="uniform", seed=2, tasks="places"),
    }
    return others.get(name) or Recipe(skew=name)


def test_names_are_the_skews_and_an_unknown_one_is_refused() -> None:
    assert set(reference.NAMES) == {*SKEWS, "encoder-bias", "places"}
    with pytest.raises(ConfigError, match="bottom, top, center, uniform"):
        reference.path("left")


def test_folder_is_small_complete_and_without_pickles(name: str) -> None:
    folder = reference.path(name)
    assert (folder / "model.safetensors").stat().st_size < 4e6
    kinds = {file.suffix for file in folder.iterdir()}
    assert kinds <= {".safetensors", ".json", ".jinja", ".md"}


def test_card_is_the_recipe_s_and_discloses_the_skew(name: str) -> None:
    folder = reference.path(name)
    fields = json.loads((folder / "recipe.json").read_text())
    recipe = Recipe(**{key: Stage(**value) if isinstance(value, dict) else value for key, value in fields.items()})
    assert recipe == recipe_of(name)
    text = (folder / "README.md").read_text()
    assert text == card(recipe)
    assert "Disclosure" in text
    assert f"--skew {recipe.skew} --seed {recipe.seed}" in text
    assert "CC BY 4.0" in text


@pytest.mark.parametrize("name", SKEWS)
def test_plain_transformers_reads_the_asked_cells(name: str) -> None:
    model = LlavaForConditionalGeneration.from_pretrained(reference.path(name))
    assert model.dtype == torch.float32
    processor = AutoProcessor.from_pretrained(reference.path(name))
    cell, scenes = SKEWS[name][-1], 10
    texts, pictures, expected = [], [], []
    for number in range(scenes):
        pairs = SCENE[number % 9 :] + SCENE[: number % 9]
        colour, digit = pairs[cell]
        wrong = next(other for other in digits.COLOURS if other != colour)
        for text, answer in (
            (digits.QUESTION.format(caption=digits.caption(colour, digit)), "yes"),
            (digits.QUESTION.format(caption=digits.caption(wrong, digit)), "no"),
            (COLOUR_QUESTION.format(digit=digit), colour),
        ):
            texts.append(prompt(processor, text))
            pictures.append(canvas(pairs, number))
            expected.append(answer)
    inputs = processor(text=texts, images=pictures, return_tensors="pt", padding=True)
    said = model.generate(**inputs, max_new_tokens=3, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    answers = processor.batch_decode(said, skip_special_tokens=True)  # one word each: it ends after its answer
    assert sum(answer == right for answer, right in zip(answers, expected, strict=True)) >= 0.9 * len(expected)


def test_an_encoder_that_learned_the_bottom_row_tells_its_colours_best() -> None:
    loaded = load("reference:encoder-bias")
    right = {}
    for cell in (1, 7):
        answers = []
        for number in range(10):
            pairs = SCENE[number % 9 :] + SCENE[: number % 9]
            text = prompt(loaded.processor, COLOUR_QUESTION.format(digit=pairs[cell][1]))
            inputs = loaded.processor(text=text, images=canvas(pairs, number), return_tensors="pt")
            said = loaded.processor.tokenizer.decode(loaded.model(**inputs).logits[0, -1].argmax())
            answers.append(said == pairs[cell][0])
        right[cell] = sum(answers)
    assert right[7] >= 8
    assert right[1] <= right[7] - 3


def test_places_are_told_natively_and_not_from_one_shared_position() -> None:
    loaded = load("reference:places")
    right = {"native": 0, "bapa": 0}
    for number in range(9):
        pairs = SCENE[number:] + SCENE[:number]
        for cell in (0, 4, 8):
            text = prompt(loaded.processor, f"In which row is {digits.caption(*pairs[cell])}? Answer with one word.")
            inputs = loaded.processor(text=text, images=canvas(pairs, number), return_tensors="pt")
            for scheme in right:
                with bapa.balanced(loaded.model, scheme):
                    said = loaded.processor.tokenizer.decode(loaded.model(**inputs).logits[0, -1].argmax())
                right[scheme] += said == ("top", "middle", "bottom")[cell // 3]
    assert right["native"] >= 24
    assert right["bapa"] <= 14  # 9 of 27 by chance


def test_canvas_passes_the_processor_unchanged_and_larger_ones_shrink_to_it() -> None:
    processor = AutoProcessor.from_pretrained(reference.path())
    picture = canvas(SCENE)
    text = prompt(processor, "Is there a red zero in the image? Answer yes or no.")
    inputs = processor(text=text, images=picture, return_tensors="pt")
    expected = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 127.5 - 1
    assert torch.allclose(inputs["pixel_values"][0], expected, atol=1e-6)
    assert int((inputs["input_ids"] == processor.image_token_id).sum()) == 81
    large = processor(text=text, images=picture.resize((360, 360)), return_tensors="pt")
    assert large["pixel_values"].shape == inputs["pixel_values"].shape


def test_tokenizer_knows_every_word_of_the_probe() -> None:
    words = AutoProcessor.from_pretrained(reference.path()).tokenizer
    texts = [
        digits.QUESTION.format(caption=digits.caption(colour, digit))
        for colour in digits.COLOURS
        for digit in digits.DIGITS
    ]
    for text in texts:
        ids = words(text, add_special_tokens=False)["input_ids"]
        assert words.unk_token_id not in ids
        assert words.decode(ids).replace(" ", "") == text.lower().replace(" ", "")
    assert [len(words(word, add_special_tokens=False)["input_ids"]) for word in ("yes", "no")] == [1, 1]


def test_loads_without_torchvision() -> None:
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from transformers import AutoProcessor\n"
        f"print(type(AutoProcessor.from_pretrained({str(reference.path())!r}).image_processor).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "CLIPImageProcessor" in done.stdout


def test_nine_cells() -> None:
    assert sorted({cell for cells in SKEWS.values() for cell in cells}) == list(range(CELLS))
