"""Rules fitted on words: what is learned is what is measured, and the record is that of the answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bapa.files import read_json
from bapa.schemes import parse
from studies.fitted import ask, page, reading, run
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
