"""Rules fitted on words: what is learned is what is measured, and the record is that of the answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bapa.files import read_json
from bapa.schemes import parse
from studies.fitted import ask, page, places, reading, run
from studies.words.reading import Halves

LAYERS = {"SmolLM2": (30, 3 * 32), "Gemma": (18, 128)}


@pytest.mark.parametrize("planted", [0.1, 0.4])
def test_a_quarter_is_told_from_more(planted: float) -> None:
    rng = np.random.default_rng(1)
    cells = np.linspace(0, 0.3, 9)
    maps = {
        rule: np.clip(0.6 + part * cells + rng.normal(0, 0.05, (200, 9)), 0, 1)
        for rule, part in (("native", 1), (ask.FITTED["words"], planted))
    }
    beyond = reading.beyond(maps)[ask.FITTED["words"]]
    assert beyond["low"] < 0.3 * (planted - reading.GOAL) < beyond["high"]
    assert (beyond["high"] < 0) == (planted < reading.GOAL)
    assert Halves.draw(np.ones((1, 200)), 2, 1).one.sum() == 200


@pytest.mark.parametrize("seen", [*ask.FITTED, *ask.CONTROLS])
@pytest.mark.parametrize("name", sorted(ask.BEDS))
def test_a_rule_is_a_label_for_its_language_model(name: str, seen: str) -> None:
    label = read_json(run.RULES)[name][seen]
    rule = parse(label)
    assert rule.label == label
    layers, digits = LAYERS[name]
    shares = rule.effects.part.shares
    assert shares.of(layers) <= frozenset(range(layers))
    assert all(len(one) == digits for _, one in shares.layers)


@pytest.mark.parametrize("name", sorted(ask.BEDS))
def test_the_record_is_that_of_the_answers(name: str) -> None:
    bed, record = ask.BEDS[name], page.STUDY.record()[name]
    shares, known = map(pd.read_parquet, run.files(f"{name}-words"))
    found = reading.words(bed, (shares, known))
    assert found == record["words"]
    assert [*found["all wordings"]["rules"]] == [*bed.before, ask.FITTED["words"]]
    shares, known = map(pd.read_parquet, run.files(f"{name}-pictures"))
    seed = int(shares["seed"].min())
    one = reading.pictures(bed, (shares[shares["seed"] == seed], known[known["seed"] == seed]))
    assert one["models"][str(seed)] == record["pictures"]["models"][str(seed)]


@pytest.mark.parametrize("name", sorted(ask.BEDS))
def test_controls_and_larger_images_are_those_of_the_answers(name: str) -> None:
    bed, record = ask.BEDS[name], page.STUDY.record()[name]
    words, controls, larger = (
        [*map(pd.read_parquet, run.files(f"{name}-{what}"))] for what in ("words", "controls", "larger")
    )
    found = reading.controls(bed, (words[0], words[1]), (controls[0], controls[1]))
    assert found == record["controls"]
    assert [*found["rules"]] == ["native", ask.FITTED["words"], *ask.CONTROLS.values()]
    assert {*found["above"]} == {*ask.CONTROLS.values()}
    found = reading.larger(bed, (larger[0], larger[1]))
    assert found == record["larger"]
    assert [*found["rules"]] == [*bed.before, ask.FITTED["words"]]


@pytest.mark.parametrize("skill", [0.0, 3.0])
def test_right_answers_about_places_are_told_from_favourites(skill: float) -> None:
    rng, cell = np.random.default_rng(1), np.arange(9)
    logs = {}
    for line, truth in (("row", cell // 3), ("column", cell % 3)):
        logs[line] = rng.normal(0, 1, (40, 9, 3)) + np.array([3, 0, -2])  # one answer is always favoured
        logs[line][:, cell, truth] += skill
    logs["place"] = rng.normal(0, 1, (40, 9, 9)) + rng.normal(0, 2, (40, 1, 9))  # one thing is
    logs["place"][:, cell, cell] += skill
    table = pd.DataFrame(places.right(logs)).rename_axis("grid").melt(ignore_index=False, var_name="what")
    answers = table.rename(columns={"value": "right"}).reset_index().assign(scheme="native")
    for what, its in places.figures(answers)["native"].items():
        chance = places.CHANCE[what]
        assert (its["right"]["low"] > 0.9) if skill else (its["right"]["low"] < chance < its["right"]["high"]), what
    assert places.known(answers) == (list(places.CHANCE) if skill else [])


def test_what_is_kept_is_counted_from_chance() -> None:
    grids = np.arange(40)
    table = [
        pd.DataFrame({"scheme": scheme, "what": what, "grid": grids, "right": chance + part * (1 - chance)})
        for scheme, part in (("native", 0.8), ("bapa", 0.2))
        for what, chance in places.CHANCE.items()
    ]
    found = places.figures(pd.concat(table))
    assert all(its["kept"]["value"] == 0.25 for its in found["bapa"].values())
    assert not any("kept" in its for its in found["native"].values())


def test_questions_about_places_name_every_place_once() -> None:
    question = "In which row is the dove: the top, the middle or the bottom row?"
    assert places.wordings("row", ["dove"]) == [(question, "The dove is in the")]
    asked = places.wordings("place", ["dove"] * 9)
    assert len({question for question, _ in asked}) == 9
    assert all(begun.startswith(f"In the {place} of") for place, (_, begun) in zip(places.PLACES, asked, strict=True))


@pytest.mark.parametrize("name", sorted(ask.BEDS))
def test_answers_about_places_are_those_of_the_record(name: str) -> None:
    answers = pd.read_parquet(run.HERE / f"{name}-places.parquet")
    assert places.figures(answers) == page.STUDY.record()[name]["places"]
