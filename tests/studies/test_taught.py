"""Models taught rows and columns: the endpoints are what was planted, and the record is that of the answers."""

from __future__ import annotations

import re
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from studies.fitted.ask import FITTED
from studies.fitted.places import CHANCE, LINES
from studies.pretrained.build import IMAGE
from studies.taught import ask, lessons, page, reading, run
from studies.taught.fit import WAYS, Places

PICTURES = 120
LATER = tuple(ask.RULES)[-2:]
WITH, WITHOUT, REVERSED = WAYS


def uneven(slope: float, seed: int) -> NDArray[np.float64]:
    """Shares of names whose cells fall from the first to the last by ``slope``."""
    cells = 0.8 - slope * np.linspace(0, 1, 9)
    found: NDArray[np.float64] = np.clip(cells + np.random.default_rng(seed).normal(0, 0.1, (PICTURES, 9)), 0, 1)
    return found


def placed(skills: dict[tuple[str, str], float]) -> pd.DataFrame:
    """Right answers, by model and rule, of which a part lies above chance."""
    rng = np.random.default_rng(5)
    tables = [
        pd.DataFrame(
            {"picture": np.arange(45), "what": what, "model": model, "rule": rule}
            | {"right": np.clip(chance + part * (1 - chance) + rng.normal(0, 0.02, 45), 0, 1)}
        )
        for (model, rule), part in skills.items()
        for what, chance in CHANCE.items()
    ]
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    slopes = {
        "native": 0.3,
        "bapa": 0.2,
        "blend": 0.1,
        "cross": 0.3,
        **dict.fromkeys(FITTED.values(), 0.02),
        **dict.fromkeys(LATER, 0.3),
        WITH: 0.1,
        WITHOUT: 0.02,
        REVERSED: 0.25,
    }
    kept = {
        "native": 0.6,
        "bapa": 0.05,
        "blend": 0.6,
        "cross": 0.3,
        **dict.fromkeys(FITTED.values(), 0.3),
        **dict.fromkeys(LATER, 0.6),
        WITH: 0.5,
        WITHOUT: 0.2,
        REVERSED: 0.5,
    }
    maps = {rule: uneven(slope, seed) for seed, (rule, slope) in enumerate(slopes.items())}
    skills = {(ask.UNTAUGHT, "native"): 0.0, **{(ask.TAUGHT, rule): part for rule, part in kept.items()}}
    return reading.figures(uneven(0.4, 99), maps, placed(skills))


def test_evenness_is_held_against_what_native_positions_give(found: dict) -> None:
    for name, reached in (
        ("quarter", {*FITTED.values(), WITHOUT}),
        ("half", {*FITTED.values(), "blend", WITH, WITHOUT}),
    ):
        goal = found["goals"][name]
        assert {*goal} == {*ask.ALL} - {"native"}
        assert {rule for rule, its in goal.items() if its["high"] < 0} == reached
    assert found["teaching"][ask.TAUGHT]["change"]["range"]["high"] < 0
    assert found["rules"]["cross"]["change"]["range"]["low"] < 0 < found["rules"]["cross"]["change"]["range"]["high"]


def test_what_is_kept_and_gained_is_what_was_planted(found: dict) -> None:
    for what, chance in CHANCE.items():
        kept = {rule: its[what]["kept"] for rule, its in found["places"].items() if rule != "native"}
        assert kept["bapa"]["high"] < 0.2
        assert abs(kept["cross"]["value"] - 0.5) < 0.05
        assert abs(kept["blend"]["value"] - 1) < 0.05
        learned = found["learned"][what]
        assert abs(learned["value"] - 0.6 * (1 - chance)) < 0.05
        ahead = found["blend ahead"][FITTED["drawings"]][what]
        assert abs(ahead["value"] - 0.3 * (1 - chance)) < 0.05
        assert ahead["low"] > 0
    assert "kept" not in found["places"]["native"]["row"]


def test_rules_fitted_in_one_way_are_held_against_those_in_another(found: dict) -> None:
    free, turned = found["fits"].values()
    assert [*found["fits"]] == [f"{WITH}, not {WITHOUT}", f"{WITH}, not {REVERSED}"]
    assert free["range"]["low"] > 0 > turned["range"]["high"]
    assert free["row"]["low"] > 0.15
    assert abs(turned["row"]["value"]) < 0.01
    assert abs(turned["mean"]["value"] - 0.15 / 2) < 0.01


CAPTIONS = [f"a thing{letter}" for letter in "ABCDEFGHI"]


class Guess:
    """Pictures whose rows are known: ``sure`` of the right answer, which says the middle too often; columns are not."""

    names = tuple(f"thing{number}" for number in range(20))
    half = torch.arange(0, 20, 2)

    def __init__(self, sure: float) -> None:
        self.sure = sure
        self.asked: list[str] = []

    def drawn(self, grids: Tensor) -> Tensor:
        return grids

    def said(self, image: Tensor, wordings: list[tuple[str, str]]) -> Tensor:
        self.asked += [question for question, _ in wordings]
        logs = torch.tensor([0.0, 5.0, 0.0]).expand(9, 3)
        if "row" in wordings[0][0]:
            logs = logs + self.sure * torch.eye(3)[torch.arange(9) // 3]
        return logs[None]


def test_rows_are_guarded_by_the_chance_of_the_right_word() -> None:
    words = {form: torch.arange(3) for form in LINES}
    for sure in (0.0, 2.0):
        pictures: Any = Guess(sure)
        known = [one() for one in Places(pictures, words, CAPTIONS)(torch.Generator().manual_seed(1))]
        right = np.exp(2 / 3 * sure) / (np.exp(2 / 3 * sure) + 2 * np.exp(-sure / 3))
        assert [*known[0], *known[1], *known[2]] == ["row", "row", "column"]
        assert [round(float(value), 4) for one in known for value in one.values()] == [*[round(right, 4)] * 2, 0.3333]
        assert pictures.asked[:9] != pictures.asked[9:18], "of other names, or in another order"
        assert all(int(asked.split("thing")[1].split(":")[0]) % 2 == 0 for asked in pictures.asked)


def test_boxes_are_guarded_by_their_left_side_and_by_the_top_behind_it() -> None:
    cell = torch.arange(9)
    asked: list[tuple[str, str]] = []

    def said(sure: tuple[float, float], _: Any, wordings: list[tuple[str, str]]) -> torch.Tensor:
        asked.extend(wordings)
        left, top = (sure_of * torch.eye(3)[of] for sure_of, of in zip(sure, (cell % 3, cell // 3), strict=True))
        liked = torch.tensor([[9.0, 0, 0], [0, 5.0, 0], [0, 0, 7.0]])  # whatever the thing, behind each left side
        return torch.cat([left + torch.tensor([0.0, 3.0, 0.0]), top + liked[cell % 3]])[None]

    def known(*sure: float) -> float:
        pictures: Any = SimpleNamespace(said=partial(said, sure))
        places = Places(pictures, {"box": torch.arange(3)}, CAPTIONS)
        return float(places.boxed(torch.zeros(1), cell, "box")["box"])

    chance, right = 1 / 3, np.exp(4 / 3) / (np.exp(4 / 3) + 2 * np.exp(-2 / 3))
    assert known(0.0, 0.0) == pytest.approx(chance)
    assert known(2.0, 0.0) == pytest.approx((right + chance) / 2)
    assert known(0.0, 2.0) == pytest.approx((right + chance) / 2)
    assert known(2.0, 2.0) == pytest.approx(right)
    assert [begun for _, begun in asked[:18]] == ["["] * 9 + ["[0, ", "[333, ", "[667, "] * 3
    assert all(f"Text: {CAPTIONS[number % 9]}\n" in question for number, (question, _) in enumerate(asked))


def test_the_record_is_that_of_the_answers() -> None:
    record = page.STUDY.record()
    shares, answers = map(pd.read_parquet, run.FILES)
    assert {*shares["rule"]} == {*ask.ALL}
    assert {*answers["model"]} == {*ask.ASKED}
    assert [*record["models"]] == [str(seed) for seed in run.SEEDS]
    one = run.found((shares[shares["seed"] == 1], answers[answers["seed"] == 1]))
    assert one["models"]["1"] == record["models"]["1"]


class Words:
    """A tokenizer of words, digits and single signs, and a chat that is a line, as far as lessons need them."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.tokenizer = self

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        parts = re.findall(rf"{IMAGE}|[a-zA-Z]+|(?s:.)", text)
        return [self.known.setdefault(part, len(self.known)) for part in parts]

    def apply_chat_template(self, chat: list[dict[str, Any]], add_generation_prompt: bool) -> str:
        return f"user {IMAGE} {chat[0]['content'][1]['text']} assistant "

    def text(self, ids: list[int]) -> str:
        back = {number: part for part, number in self.known.items()}
        return "".join(back[one] for one in ids)


@pytest.fixture
def reader() -> Any:
    processor = Words()
    prefix = processor.encode("user ")
    return SimpleNamespace(
        loaded=SimpleNamespace(processor=processor), bench=SimpleNamespace(asker=SimpleNamespace(prefix=prefix))
    )


@pytest.mark.parametrize("form", LINES)
def test_a_lesson_asks_of_every_thing_where_it_stands(reader: Any, form: str) -> None:
    for cell in range(9):
        (asked, answer, _), among = lessons.block(reader, CAPTIONS, cell, form)
        name = CAPTIONS[cell].removeprefix("a ")
        text = reader.loaded.processor.text(asked)
        assert text.endswith(f"The {name} is in the")
        assert f"In which {form} is the {name}:" in text
        wanted = LINES[form][cell // 3 if form == "row" else cell % 3]
        assert reader.loaded.processor.text(answer) == wanted
        assert [reader.loaded.processor.text([one]) for one in among[0]] == list(LINES[form])


def test_a_box_is_asked_in_the_words_of_the_probe_and_taught_up_to_where_its_top_begins(reader: Any) -> None:
    words = reader.loaded.processor
    for cell, wanted in enumerate(("0, 0", "333, 0", "667, 0", "0, 3", "333, 3", "667, 3", "0, 6", "333, 6", "667, 6")):
        (asked, answer, _), among = lessons.block(reader, CAPTIONS, cell, lessons.BOX)
        assert words.text(asked).endswith(f"Text: {CAPTIONS[cell]}\nAnswer with its bounding box only. assistant [")
        assert words.text(answer) == wanted
        picked = [token for token, three in zip(answer, among, strict=True) if len(set(three)) > 1]
        assert words.text(picked) == "036"[cell % 3] + "036"[cell // 3]
        assert all(token in three for token, three in zip(answer, among, strict=True))


def test_a_name_is_asked_without_its_place_and_held_against_two_that_the_picture_does_not_show(reader: Any) -> None:
    words = reader.loaded.processor
    known = [words.encode(f"thing{letter}")[0] for letter in "JABCDEFGHIKL"]
    reader.named = SimpleNamespace(token=torch.tensor(known))
    for form, (question, begun) in lessons.NAMES.items():
        wrong = []
        for cell in range(9):
            (asked, answer, _), among = lessons.block(reader, CAPTIONS, cell, form)
            assert words.text(asked).endswith(f"{question} assistant {begun}")
            assert not any(caption in words.text(asked) for caption in CAPTIONS)
            assert words.text(answer) == CAPTIONS[cell].removeprefix("a ")
            assert among[0][0] == answer[0]
            wrong.append([words.text([one]) for one in among[0][1:]])
        assert wrong == [["thingK", "thingL"]] * 9
    (_, answer, _), among = lessons.block(reader, [*CAPTIONS[:8], "a thingL"], 8, "name 1")
    assert [words.text([one]) for one in among[0]] == ["thingL", "thingJ", "thingI"]
