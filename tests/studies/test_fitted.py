"""Rules fitted on words: what is learned is what is measured, and the record is that of the answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from bapa.files import read_json
from bapa.schemes import parse
from studies.fitted import ask, fit, page, reading, run
from studies.words import neighbours
from studies.words.reading import Halves

LAYERS = {"SmolLM2": (30, 3 * 32), "Gemma": (18, 128)}


@pytest.mark.parametrize("relation", fit.GUARDED)
def test_what_is_guarded_is_what_is_measured(relation: str) -> None:
    """Far apart, the smooth share of neighbours that score above others is the share itself."""
    logs = torch.randn(3, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted = neighbours.known(logs.numpy())[relation]
    other = ~torch.eye(9, dtype=torch.bool)
    for one, share in zip(1e6 * logs, wanted, strict=True):
        scores = one - fit._mean(one, other, 0)
        scores = scores - fit._mean(scores, other, 1)
        assert float(fit._above(scores, relation, other)) == pytest.approx(share, abs=1e-6)


def test_grids_are_of_every_second_name_alone() -> None:
    learner = fit.Learner(None, None, torch.arange(100, 200), torch.Generator().manual_seed(1))
    drawn = learner.drawn(50)
    assert drawn.shape == (50, 9)
    assert (drawn % 2 == 0).all()
    assert all(len(set(row)) == 9 for row in drawn.tolist())


def test_names_score_above_absent_ones_of_the_same_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """A map that is right in all cells but one: the smooth share says so, and names never drawn do not count."""
    learner = fit.Learner(None, None, torch.arange(40), torch.Generator().manual_seed(1), [torch.zeros(40)])
    shown = learner.drawn(4)
    scores = torch.zeros(4, 40).scatter(1, shown, 50.0)
    scores[torch.arange(4), shown[:, 4]] = -50.0  # the middle
    scores[:, 1::2] = 1000.0  # of the other half
    monkeypatch.setattr(fit.Learner, "named", lambda *_: scores)
    share, loss = learner.naming(shown, 0)
    assert share.round().tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1]
    assert loss.argmax() == 4


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


@pytest.mark.parametrize("seen", ask.FITTED)
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
