"""The study of aligned pictures by planted truth: what goes with the encoder's cell, what with the language model's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from studies.aligned import ask, page, projector, reading, run
from studies.pretrained import scenes
from studies.words import neighbours
from studies.words.reading import Halves

GRADIENT = np.linspace(-0.09, 0.09, 9)
UPRIGHT = np.array([-0.06, 0.0, 0.06] * 3)  # nothing in common with a gradient over rows


class Reads:
    """Instead of an encoder and a projector: for each of 81 tokens the mean grey of its pixels."""

    def get_image_features(self, pixels: torch.Tensor) -> Any:
        grey = torch.nn.functional.avg_pool2d(pixels.mean(1, keepdim=True), 32)
        return SimpleNamespace(pooler_output=grey.flatten(2).transpose(1, 2))


def test_moved_features_are_put_back_where_they_belong() -> None:
    """An encoder that sees all cells alike gives the same tokens, moved or not."""
    level = torch.linspace(10, 200, 30).to(torch.uint8)
    atlas = level[None, :, None, None, None].expand(1, 30, 4, 96, 96).clone()
    atlas[:, :, 3] = 255
    which = torch.stack([torch.randperm(30, generator=torch.Generator().manual_seed(n))[:9] for n in range(40)])
    none = torch.zeros(40, dtype=torch.long)
    drawn = scenes.Scenes(which, torch.zeros_like(which), none, none + 9)
    bench: Any = SimpleNamespace(atlas=atlas)
    model = SimpleNamespace(model=Reads())
    straight, moved = (ask.seen(model, bench, drawn, moved=moved) for moved in (False, True))
    assert torch.equal(straight, moved)
    cells = straight.view(40, 3, 3, 3, 3)[:, :, 1, :, 1].flatten(1)
    assert torch.equal(cells.argsort(1), which.argsort(1))  # and cell by cell it is what is there


def test_every_cell_is_seen_by_the_encoder_in_every_other_equally_often() -> None:
    pairs = np.zeros((9, 9), int)
    for row in ask.moves().numpy():
        pairs[np.arange(9), row] += 1
    assert (pairs == ask.PICTURES // 9).all()
    assert ask.shifted()[0].tolist() == list(range(9))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_encoder_and_language_model_is_what_was_planted(share: float) -> None:
    rng = np.random.default_rng(1)
    place = ask.moves().numpy()

    def pictures(level: NDArray[Any]) -> NDArray[Any]:
        return 0.7 + level + 0.15 * rng.standard_normal((ask.PICTURES, 9))

    found = []
    for _ in range(12):
        native = pictures(GRADIENT + np.zeros((ask.PICTURES, 1)))
        moved = pictures(share * GRADIENT[place] + (1 - share) * GRADIENT)
        halves = Halves.draw(np.ones((1, ask.PICTURES)), 32, 1)
        found.append([reading.carried(halves, native, its, 1)[0] for its in (reading.by_encoder(moved), moved)])
    assert np.mean(found, 0) == pytest.approx([share, 1 - share], abs=0.06)


def test_a_factor_that_runs_across_the_map_carries_none_of_it() -> None:
    rng = np.random.default_rng(2)
    native = 0.7 + GRADIENT.reshape(3, 3).mean(1).repeat(3) + 0.1 * rng.standard_normal((ask.PICTURES, 9))
    other = 0.7 + UPRIGHT + 0.1 * rng.standard_normal((ask.PICTURES, 9))
    halves = Halves.draw(np.ones((1, ask.PICTURES)), 32, 1)
    assert reading.carried(halves, native, other, 1)[0] == pytest.approx(0, abs=0.12)


def test_intervals_of_the_shares_hold_the_truth_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "RESAMPLES", 150)
    rng, place, trials, held = np.random.default_rng(5), ask.moves().numpy(), 40, np.zeros(2)
    for _ in range(trials):
        noise = 0.2 * rng.standard_normal((2, ask.PICTURES, 9))
        native, moved = 0.7 + GRADIENT + noise[0], 0.7 + 0.3 * GRADIENT[place] + 0.7 * GRADIENT + noise[1]
        found = reading.carriers(native, moved)
        held += [
            found[name]["low"] <= true <= found[name]["high"]
            for name, true in (("encoder", 0.3), ("language model", 0.7))
        ]
    assert held.min() >= stats.binom.ppf(0.005, trials, 0.95), held


def test_the_record_is_that_of_the_answers() -> None:
    record, answers = page.STUDY.record(), pd.read_parquet(run.SHARES)
    assert {str(seed) for seed in answers["seed"].unique()} == set(record["models"])
    for seed, rows in answers[answers["scheme"] == "native"].groupby("seed"):
        cells = rows.groupby("cell")["share"].mean().to_numpy()
        assert record["models"][str(seed)]["rules"]["native"]["cells"] == pytest.approx(cells, abs=6e-5)
    assert reading.together(record["models"]) == record["together"]


def test_over_models_a_figure_has_its_mean_and_a_t_interval() -> None:
    figure = [{"value": value, "low": 0.0, "high": 1.0} for value in (0.1, 0.2, 0.3)]
    found = reading.together({str(n): {"range": one, "cells": [1, 2]} for n, one in enumerate(figure)})
    assert found == {"range": {"value": 0.2, "low": pytest.approx(-0.0484), "high": pytest.approx(0.4484)}}


def test_pictures_show_nine_named_things_by_the_hands_asked_for() -> None:
    there = torch.ones(5, 40, dtype=torch.bool)
    there[2, 7] = False
    bench: Any = SimpleNamespace(there=there)
    named = projector.Named(torch.arange(0, 40, 2) + 1, torch.arange(20), torch.randn(20, 4))
    generator = torch.Generator().manual_seed(0)
    learned = projector.pictures(bench, named, 30, generator, held_out=False)
    asked = projector.pictures(bench, named, 30, generator, held_out=True)
    assert (asked.hand == 4).all()
    assert (learned.hand < 4).all()
    assert not ((learned.hand == 2) & (learned.thing == 7)).any()  # that hand did not draw it
    assert (named.token[named.number()[asked.thing]] == (asked.thing - 1) // 2).all()
    assert all(len(set(row)) == 9 for row in asked.thing.tolist())


@pytest.mark.parametrize("relation", ["right", "left", "below", "above"])
def test_what_is_known_of_neighbours_is_what_was_planted(relation: str) -> None:
    rng = np.random.default_rng(3)
    logs = rng.standard_normal((60, 9, 9)) + 4 * rng.standard_normal(9)  # some things are named everywhere
    (down, across), *_ = neighbours.RELATIONS[relation]
    for cell in range(9):
        row, column = cell // 3 + down, cell % 3 + across
        if 0 <= row < 3 and 0 <= column < 3:
            logs[:, cell, 3 * row + column] += 3
    found = {name: auc.mean() for name, auc in neighbours.known(logs).items()}
    assert found[relation] > 0.9
    assert all(auc < 0.6 for name, auc in found.items() if name not in (relation, "row"))


def test_a_favoured_cell_is_no_knowledge_of_neighbours() -> None:
    rng = np.random.default_rng(4)
    logs = rng.standard_normal((200, 9, 9)) + np.linspace(0, 9, 9)
    for auc in neighbours.known(logs).values():
        assert auc.mean() == pytest.approx(0.5, abs=0.03)
