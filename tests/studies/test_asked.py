"""Models asked whether things are there: what they learn from, and planted maps that are told as they were planted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from bapa.stats.text import interval, percent
from studies.asked import ask, learn, page, reading, run
from studies.pretrained import arms as pretrained
from studies.pretrained.parts import TRAINED
from studies.pretrained.scenes import MATCH, TOKENS, TOLD, Rows, Scenes
from studies.taught.lessons import stream
from tests.studies.test_sentences import page as text

HANDS, THINGS, PICTURES = len(TRAINED) + 1, 30, 60
YES, NO = 1, 0
BUMP, SLOPE = 2.0, 3.0  # of margins: of the middle cell, and of the first row above the last


class Asker:
    """Asks about the first cells, and keeps the scenes that it was given."""

    def __init__(self) -> None:
        self.scenes: list[Scenes] = []
        self.placements: list[str] = []

    def blocks(self, drawn: Scenes, questions: int, placement: str, generator: torch.Generator) -> Any:
        self.scenes.append(drawn)
        self.placements.append(placement)
        torch.rand(1, generator=generator)
        one = [([5], [7], TOLD), *(([5], [YES if n % 2 == 0 else NO], MATCH) for n in range(questions)), ([5], [3], 2)]
        return [one] * len(drawn.thing)

    def pack(self, asked: Any) -> Rows:
        told = [(row, block[1][0], block[2]) for row, blocks in enumerate(asked) for block in blocks]
        row, target, kind = torch.tensor(told).T
        return Rows(*(torch.zeros(1),) * 3, row, torch.zeros(len(row)), target, kind)


def lesson(name: str, trial: bool = False) -> tuple[Any, Asker]:
    """What the arm of a name learns from in its first step; an image token tells the picture and its number in it."""
    model = SimpleNamespace(
        get_image_features=lambda pixels: SimpleNamespace(
            pooler_output=pixels.mean((1, 2, 3))[:, None, None] + torch.arange(TOKENS)[None, :, None]
        )
    )
    reader = SimpleNamespace(
        named=SimpleNamespace(thing=torch.arange(THINGS) + 5),
        bench=SimpleNamespace(
            there=torch.ones(HANDS, THINGS + 5, dtype=torch.bool),
            atlas=torch.randint(256, (HANDS, THINGS + 5, 4, 96, 96), generator=stream(0, 0)).to(torch.uint8),
        ),
        loaded=SimpleNamespace(model=SimpleNamespace(model=model)),
    )
    asker: Any = Asker()
    subject = learn.subject(pretrained.ARMS[ask.ARMS[name].of])
    return learn.lesson(reader, asker, subject, PICTURES, stream(1, 0), trial), asker


def test_arms_learn_from_the_same_pictures_but_for_their_placement_and_the_order_of_tokens() -> None:
    (plain, one), (shuffled, other), (photo, third), (under, fourth) = (lesson(name) for name in ask.ARMS)
    assert torch.equal(one.scenes[0].thing, other.scenes[0].thing)
    assert torch.equal(plain.image, under.image)
    assert torch.equal(plain.image.sort(1)[0], shuffled.image.sort(1)[0])
    assert not torch.equal(plain.image, shuffled.image)
    assert [asker.placements for asker in (one, other, third, fourth)] == [["uniform"]] * 2 + [["photo"], ["uniform"]]
    assert (third.scenes[0].main == 4).float().mean() > 0.35 > (one.scenes[0].main == 4).float().mean()
    assert torch.equal(photo.rows.target, plain.rows.target)


def test_a_full_grid_and_the_last_hand_are_tried_and_never_learned_from() -> None:
    (learned, one), (tried, other) = lesson("uniform"), lesson("photo", trial=True)
    assert one.scenes[0].shown.max() == 8
    assert one.scenes[0].hand.max() < len(TRAINED)
    assert other.scenes[0].shown.tolist() == [9] * PICTURES
    assert set(other.scenes[0].hand.flatten().tolist()) == {len(TRAINED)}
    assert other.placements == ["uniform"]
    assert set(learned.rows.kind.tolist()) == {MATCH, TOLD}
    assert set(tried.rows.kind.tolist()) == {MATCH}


def test_answers_and_captions_count_the_same_and_a_trial_counts_order_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    (learned, _), (tried, _) = lesson("uniform"), lesson("uniform", trial=True)
    pupil: Any = object.__new__(learn.Learner)
    pupil.asker = SimpleNamespace(yes=YES, no=NO)
    logits = {
        len(one.rows.target): torch.randn(len(one.rows.target), 8, generator=stream(2, 0)) for one in (learned, tried)
    }
    monkeypatch.setattr(learn.Learner, "logits", lambda _, one: logits[len(one.rows.target)])
    each = torch.nn.functional.cross_entropy(logits[len(learned.rows.target)], learned.rows.target, reduction="none")
    told = learned.rows.kind == TOLD
    assert torch.isclose(pupil.loss(learned), each[told].mean() + each[~told].mean())
    its, there = logits[len(tried.rows.target)], tried.rows.target == YES
    margin = its[:, YES] - its[:, NO]
    above = (margin[there][:, None] > margin[~there]).float().mean()
    assert pupil.right([tried]) == pytest.approx(float(above))
    its[:, YES] += 5.0  # the same for all: no other order
    assert pupil.right([tried]) == pytest.approx(float(above))


def test_nine_other_things_are_asked_about_that_the_picture_does_not_show() -> None:
    shown = torch.stack([torch.randperm(40, generator=stream(0, n))[:9] for n in range(20)])
    absent = ask.absent(shown, 40)
    assert absent.shape == shown.shape
    assert not (absent[:, :, None] == shown[:, None]).any()
    assert all(len(set(row)) == 9 for row in absent.tolist())
    assert torch.equal(absent, ask.absent(shown, 40))


def test_a_share_counts_the_absent_things_of_the_same_picture_ties_half() -> None:
    present = np.array([[3.0, 1.0, 0.0], [9.0, 9.0, 9.0]])
    absent = np.array([[1.0, 2.0, -1.0], [9.5, 8.0, 9.0]])
    assert reading.shares(present, absent) == pytest.approx(np.array([[1.0, 0.5, 1 / 3], [0.5, 0.5, 0.5]]))


def margins(arm: str, rule: str, seed: int) -> pd.DataFrame:
    """Uniform and photo are best in the first row, turned about under `reverse`, even under `bapa`; photo has a better
    middle; the others are even.
    """
    rng = np.random.default_rng([seed, len(arm), len(rule)])
    cells = np.zeros(9)
    if arm in ("uniform", "photo") and rule != "bapa":
        cells = SLOPE * np.repeat([1, 0.5, 0], 3)
        cells = cells[::-1] if rule == "reverse" else cells
    if arm == "photo":
        cells = cells + BUMP * (np.arange(9) == 4)
    picture, cell = np.indices((81, 9)).reshape(2, -1)
    table = {"arm": arm, "rule": rule, "seed": seed, "picture": picture, "cell": cell}
    return pd.DataFrame({**table, "present": rng.normal(cells[cell], 1), "absent": rng.normal(-1, 1, len(cell))})


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    tables = [margins(arm, rule, seed) for arm, its in ask.ARMS.items() for rule in its.rules for seed in (1, 2, 3)]
    return reading.record(pd.concat(tables, ignore_index=True))


def test_planted_maps_are_told_as_they_were_planted(record: dict[str, Any]) -> None:
    its = record["together"]
    less = its["less"]["uniform, native, less shuffled, native"]["range"]
    assert less["low"] > 0
    assert its["arms"]["uniform"]["rules"]["native"]["range"]["low"] > 0.1
    assert its["arms"]["shuffled"]["rules"]["native"]["range"]["low"] < 0.01
    assert its["arms"]["uniform"]["rules"]["bapa"]["change"]["range"]["high"] < 0
    assert its["arms"]["uniform"]["position share"]["reverse"]["value"] == pytest.approx(1, abs=0.1)
    assert its["middle less"]["photo, native, less uniform, native"]["low"] > 0
    assert record["agreement"]["uniform"]["mean"] > record["agreement"]["uniform"]["null95"]
    assert record["pooled"]["uniform"]["p"] < 0.001
    assert record["pooled"]["shuffled"]["p"] > 0.01
    said = its["said"]["shuffled, native"]
    assert said["hits"]["value"] == pytest.approx(0.5, abs=0.05)
    assert said["false alarms"]["value"] == pytest.approx(0.16, abs=0.03)


def test_the_tables_of_the_page_hold_every_arm_and_rule(record: dict[str, Any]) -> None:
    (text,) = page.blocks(record).values()
    asked = sum(len(arm.rules) for arm in ask.ARMS.values())
    assert text["arms"].count("\n") == asked + 1
    assert text["models"].count("\n") == 3 * asked + 1
    assert text["less"].count("\n") == len(reading.COMPARED) + 1
    assert text["criteria"].count("\n") == len(ask.ARMS) + 1
    assert set(page.blocks({})["docs/studies/asked.md"].values()) == {""}


def test_an_arm_of_which_there_is_none_is_refused() -> None:
    assert run.chosen(None) == tuple(ask.ARMS)
    with pytest.raises(Exception, match="there is no arm sideways; these are: uniform, shuffled"):
        run.chosen(["sideways"])


def test_the_pages_say_what_the_record_says() -> None:
    its = page.STUDY.record()["together"]
    study, bench, unbiased, paper = (
        text(f"docs/{name}.md") for name in ("studies/asked", "studies/pretrained", "unbiased", "paper")
    )
    beside = its["less"]["uniform, native, less shuffled, native"]["range"]
    for where in (study, bench, unbiased):
        assert f"{percent(beside['value'], 1)}" in where
        assert interval(beside, 1) in where
    for arm, pages in (("uniform", (study, bench, paper)), ("photo", (study, bench))):
        change = its["arms"][arm]["rules"]["bapa"]["change"]
        for what in ("mean", "worst"):
            low, high = (percent(-change[what][bound], 1) for bound in ("high", "low"))
            for where in pages:
                assert f"{percent(-change[what]['value'], 1)} [{low}, {high}]" in where.replace(" points [", " [")
    for arm in ("uniform", "shuffled", "photo"):
        found = its["arms"][arm]["rules"]["native"]["range"]
        assert f"{percent(found['value'], 1)} {interval(found, 1)}" in study.replace(" points [", " [")
    middle = its["middle less"]["photo, native, less uniform, native"]
    assert f"{percent(middle['value'], 1)} points {interval(middle, 1)}" in study
