"""Models tuned on names and places: arms, rules and what is kept are told as they were planted."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import torch

from studies.coded.ask import CHANCE, NATIVELY, UNDER
from studies.mixed import ask, page, reading, run
from studies.mixed.reading import BEFORE, PLACES
from studies.pretrained.scenes import MIDDLE
from studies.taught.lessons import NAMES, Subject, lesson, stream
from tests.studies.test_coded import maps, placed
from tests.studies.test_shuffled import drawing

SKILLS = {
    NATIVELY: {"native": 0.8, "bapa": 0.2},
    UNDER: {"bapa": 0.6},
    ask.NATIVELY_CENTRAL: {"native": 0.7, "bapa": 0.1},
    ask.UNDER_CENTRAL: {"bapa": 0.4},
    BEFORE: {"native": 0.5, "bapa": 0.1},
    PLACES[UNDER]: {"bapa": 0.7},
}
SLOPES = {
    NATIVELY: {"native": 0.3, "bapa": 0.2},
    UNDER: {"bapa": 0.05},
    ask.NATIVELY_CENTRAL: {"native": 0.5, "bapa": 0.2},
    ask.UNDER_CENTRAL: {"bapa": 0.1},
    BEFORE: {"native": 0.4, "bapa": 0.3},
    PLACES[UNDER]: {"bapa": 0.3},
}
BUMP = 0.09  # of the middle cell, where names of the middle were learned natively


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    shares = pd.concat([maps(slopes).assign(arm=arm) for arm, slopes in SLOPES.items()], ignore_index=True)
    learned = (shares["arm"] == ask.NATIVELY_CENTRAL) & (shares["rule"] == "native") & (shares["cell"] == 4)
    shares.loc[learned, "share"] += BUMP
    right = pd.concat([placed(skills, CHANCE).assign(arm=arm) for arm, skills in SKILLS.items()])
    return reading.figures(shares, right)


def test_half_of_the_questions_ask_for_names_and_both_arms_learn_from_the_same() -> None:
    assert len(NAMES) == len(ask.LEARNED) / 2
    assert [(arm.scheme, arm.central) for arm in ask.ARMS.values()] == [
        ("native", False),
        ("bapa", False),
        ("native", True),
        ("bapa", True),
    ]


def test_central_names_are_mostly_of_the_middle_and_all_else_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = 300
    reader, asked = drawing(monkeypatch, torch.zeros(pictures, 81, 8))
    for central in (False, True):
        lesson(reader, Subject(ask.LEARNED, central=central), pictures, stream(1, 0))
    alike, central_ones = asked[: 9 * pictures], asked[9 * pictures :]
    assert [form for _, form in alike] == [form for _, form in central_ones]
    assert [cell for cell, _ in alike] == [*range(9)] * pictures
    places = [(one, other) for one, other in zip(alike, central_ones, strict=True) if one[1] not in NAMES]
    assert all(one == other for one, other in places)
    named = torch.tensor([cell for cell, form in central_ones if form in NAMES])
    share = torch.bincount(named, minlength=9) / len(named)
    assert share.tolist() == pytest.approx(MIDDLE.tolist(), abs=0.04)


def test_models_are_held_against_each_other_as_planted(found: dict[str, Any]) -> None:
    tuned = found["less"]["under bapa, bapa, less natively, native"]
    assert tuned["range"]["high"] < 0
    assert tuned["row"]["value"] == pytest.approx(-0.2 * 2 / 3, abs=0.02)
    switched = found["less"]["natively, bapa, less natively, native"]
    assert switched["box"]["value"] == pytest.approx(-0.6 * 8 / 9, abs=0.03)
    assert found["less"][f"under bapa, bapa, less {PLACES[UNDER]}, bapa"]["row"]["high"] < 0
    assert not any(PLACES[NATIVELY] in name for name in found["less"])


def test_a_learned_middle_is_told_of_the_arm_that_learned_it(found: dict[str, Any]) -> None:
    learned = "natively, central, native"
    above = BUMP * 8 / 9
    assert found["middle"][learned]["value"] - found["middle"]["natively, native"]["value"] == pytest.approx(
        above, abs=0.01
    )
    assert found["middle less"][f"{learned}, less natively, native"]["low"] > 0
    assert found["middle less"][f"under bapa, central, bapa, less {learned}"]["high"] < 0
    assert abs(found["middle less"]["under bapa, central, bapa, less under bapa, bapa"]["value"]) < 0.02


def test_what_the_rule_does_more_where_names_are_central_is_a_difference_of_differences(found: dict[str, Any]) -> None:
    central, alike = (found["less"][f"under bapa{of}, bapa, less natively{of}, native"] for of in (", central", ""))
    more = reading.more({"1": found, "2": found})
    assert more["range"]["value"] == pytest.approx(central["range"]["value"] - alike["range"]["value"], abs=1e-4)
    assert more["range"]["value"] < -0.05
    assert reading.more({"1": {"less": {}}, "2": {"less": {}}}) == {}


def test_what_is_kept_and_how_near_the_goals_are_is_told_of_the_models_before(found: dict[str, Any]) -> None:
    assert found["kept"]["under bapa, bapa, of before, native"]["row"]["value"] == pytest.approx(1.2, abs=0.05)
    assert found["kept"]["under bapa, bapa, of natively, native"]["box"]["value"] == pytest.approx(0.75, abs=0.05)
    assert "natively, native, of natively, native" not in found["kept"]
    half = found["goals"]["half"]
    assert half["under bapa, bapa"]["high"] < 0 < half["natively, native"]["low"]


def test_the_tables_of_the_page_hold_every_arm_and_rule(found: dict[str, Any]) -> None:
    both = {"1": found, "2": found}
    told = {**reading.together(both), "more": reading.more(both)}
    texts = page.blocks({"models": both, "together": told, "teaching": {}})["docs/studies/mixed.md"]
    for arm, rules in SKILLS.items():
        for rule in rules:
            assert f"| {arm}, {rule} |" in texts["arms"]
            assert texts["models"].count(f"| {arm}, {rule} |") == 2
    assert "| under bapa, bapa |" in texts["goals"]
    assert "| under bapa, bapa, of before, native |" in texts["kept"]
    assert "| under bapa, bapa, less natively, native |" in texts["less"]
    assert "| natively, central, native, less natively, native |" in texts["middle"]
    assert texts["more"].count("central less alike") == 1
    assert all(text == "" for text in page.blocks({})["docs/studies/mixed.md"].values())


def test_the_record_is_that_of_the_answers() -> None:
    record = page.STUDY.record()
    told = run.found(*(pd.read_parquet(path) for path in run.FILES))
    assert {**told, "teaching": record["teaching"]} == record
    assert {name.rpartition("-")[0] for name in record["teaching"]} == {*ask.ARMS}
