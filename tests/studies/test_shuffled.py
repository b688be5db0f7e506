"""Models that read places from their image tokens: the endpoints are what was planted, and the record is that of the
answers.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from studies.coded.ask import CHANCE
from studies.shuffled import ask, page, reading, run
from studies.shuffled.ask import FURTHER, LABELS, SHUFFLED, UNDER
from studies.shuffled.reading import BEFORE
from studies.taught import lessons
from tests.studies.test_coded import maps, placed

SKILLS = {
    SHUFFLED: dict.fromkeys(LABELS, 0.4) | {"native": 0.8, "bapa": 0.2},
    UNDER: {"bapa": 0.7},
    FURTHER: {"native": 0.8, "bapa": 0.1},
    BEFORE: {"native": 0.5, "bapa": 0.1},
}
SLOPES = {
    SHUFFLED: dict.fromkeys(LABELS, 0.3) | {"native": 0.4, "cross": 0.05},
    UNDER: {"bapa": 0.1},
    FURTHER: {"native": 0.4, "bapa": 0.3},
    BEFORE: {"native": 0.4, "bapa": 0.3},
}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    shares = pd.concat([maps(slopes).assign(arm=arm) for arm, slopes in SLOPES.items()])
    right = pd.concat([placed(skills, CHANCE).assign(arm=arm) for arm, skills in SKILLS.items()])
    moved = [
        placed({rule: 0.7 if of == wins else 0.0}, CHANCE).assign(of=of, arm=arm)
        for arm, rule, wins in ((SHUFFLED, "native", "coded"), (UNDER, "bapa", "stands"))
        for of in ("stands", "coded")
    ]
    return reading.figures(shares, right, pd.concat(moved))


def test_what_a_rule_keeps_is_told_of_models_that_read_codes(found: dict[str, Any]) -> None:
    assert found["whose"][SHUFFLED]["native"]["row"]["codes ahead"]["low"] > 0
    assert found["whose"][UNDER]["bapa"]["row"]["codes ahead"]["high"] < 0
    assert found["places"]["bapa"]["row"]["kept"]["value"] == pytest.approx(0.25, abs=0.05)
    assert found["places"]["cross"]["box"]["kept"]["value"] == pytest.approx(0.5, abs=0.05)
    assert found["goals"]["half"]["cross"]["high"] < 0 < found["goals"]["half"]["bapa"]["low"]


def test_what_tuning_under_the_rule_changes_is_told_beside_other_arms(found: dict[str, Any]) -> None:
    tuned = found["less"]["under bapa, bapa, less natively, native"]
    assert tuned["row"]["value"] == pytest.approx(-0.1 * 2 / 3, abs=0.02)
    assert tuned["range"]["high"] < 0
    before = found["less"]["under bapa, bapa, less before, bapa"]
    assert before["box"]["low"] > 0
    assert before["box"]["value"] == pytest.approx(0.6 * 8 / 9, abs=0.03)


def test_arms_not_asked_are_left_out_and_nothing_else_changes(found: dict[str, Any]) -> None:
    kept = [arm for arm in SLOPES if arm != FURTHER]
    shares = pd.concat([maps(SLOPES[arm]).assign(arm=arm) for arm in kept])
    right = pd.concat([placed(SKILLS[arm], CHANCE).assign(arm=arm) for arm in kept])
    moved = placed({"native": 0.5}, CHANCE).assign(arm=SHUFFLED)
    its = reading.figures(shares, right, pd.concat([moved.assign(of=of) for of in ("stands", "coded")]))
    assert its["rules"] == found["rules"]
    assert not any(FURTHER in name for name in (*its["less"], *its["arms"]))
    assert its["arms"]["under bapa, bapa"] == found["arms"]["under bapa, bapa"]


def test_the_tables_of_the_page_hold_every_arm_and_rule(found: dict[str, Any]) -> None:
    both = {"1": found, "2": found}
    together = reading.together(both)
    texts = page.blocks({"models": both, "together": together, "teaching": {}})["docs/studies/shuffled.md"]
    for rule in LABELS:
        assert f"| {rule} |" in texts["rules"]
        assert f"| {rule} |" in texts["places"]
    for arm, rules in SKILLS.items():
        for rule in rules:
            assert f"| {arm}, {rule} |" in texts["arms"]
            assert texts["models"].count(f"| {arm}, {rule} |") == 2
    assert texts["whose"].count("| box |") == 2
    assert "| under bapa, bapa, less natively, native |" in texts["less"]
    assert all(text == "" for text in page.blocks({})["docs/studies/shuffled.md"].values())


def drawing(monkeypatch: pytest.MonkeyPatch, features: torch.Tensor) -> tuple[Any, list[tuple[int, str]]]:
    """A reader whose lessons are about pictures of these features, and the cell and form of every question asked."""
    model = SimpleNamespace(model=SimpleNamespace(get_image_features=lambda _: SimpleNamespace(pooler_output=features)))
    asker = SimpleNamespace(captions=[f"a {n}" for n in range(20)], pack=lambda asked: asked)
    reader = SimpleNamespace(
        bench=SimpleNamespace(asker=asker, atlas=None), named=None, loaded=SimpleNamespace(model=model)
    )
    drawn = SimpleNamespace(thing=torch.arange(9 * len(features)).view(-1, 9) % 20)
    asked: list[tuple[int, str]] = []

    def block(_: Any, names: Any, cell: int, form: str) -> Any:
        asked.append((cell, form))
        return ([1], [2], 9), [[0, 1, 2]]

    monkeypatch.setattr(lessons, "pictures", lambda *_, **__: drawn)
    monkeypatch.setattr(lessons.scenes, "paint", lambda *_: torch.zeros(3))
    monkeypatch.setattr(lessons, "block", block)
    return reader, asked


def test_shuffled_tokens_are_the_same_in_another_order_and_unshuffled_ones_are_not_drawn_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features = torch.randn(3, 81, 8, generator=torch.Generator().manual_seed(1))
    reader, asked = drawing(monkeypatch, features)
    codes = torch.arange(81.0)[:, None].expand(81, 8)
    plain = lessons.Subject(("row", "column", "box"), codes=codes)
    got = {
        shuffled: lessons.lesson(reader, replace(plain, shuffled=shuffled), 3, lessons.stream(1, 0)).image
        for shuffled in (False, True)
    }
    assert torch.equal(got[False], features + codes)
    for one, other in zip(got[True], got[False], strict=True):
        order = torch.cdist(one, other).argmin(1)
        assert sorted(order.tolist()) == list(range(81))
        assert order.tolist() != list(range(81))
        assert torch.equal(one, other[order])
    first, second, _ = (torch.cdist(*two).argmin(1).tolist() for two in zip(got[True], got[False], strict=True))
    assert first != second
    assert len(asked) == 54


def test_the_record_is_that_of_the_answers() -> None:
    record = page.STUDY.record()
    told = run.found(*(pd.read_parquet(path) for path in run.FILES))
    assert {**told, "teaching": record["teaching"]} == record
    assert {name.rpartition("-")[0] for name in record["teaching"]} <= {*ask.ARMS}
