"""Successive halving: rounds that double, candidates that leave, a winner that is worth it."""

from __future__ import annotations

import numpy as np
import pytest

from bapa.calibrate.candidates import PAPER, STEPS, around, distances
from bapa.calibrate.halving import rounds, score, survivors, winner
from bapa.schemes import parse


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (32, [(0, 2), (2, 4), (4, 8), (8, 16), (16, 32)]),
        (2, [(0, 2)]),
        (5, [(0, 2), (2, 5)]),
        (40, [(0, 2), (2, 4), (4, 8), (8, 16), (16, 40)]),
    ],
)
def test_rounds_double_and_end_with_the_items(items: int, expected: list[tuple[int, int]]) -> None:
    assert list(rounds(items)) == expected


@pytest.mark.parametrize("items", range(1, 200))
def test_every_item_is_in_one_round(items: int) -> None:
    assert [item for start, stop in rounds(items) for item in range(start, stop)] == list(range(items))


def test_the_better_half_goes_on_with_those_that_are_kept() -> None:
    values = {
        candidate: np.array([rate]) for candidate, rate in {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.8, "p": 0.0}.items()
    }
    assert survivors(values, ["p"], least=1) == ["b", "d", "p"]
    assert survivors(values, [], least=4) == ["a", "b", "c", "d"]


def test_score_is_a_mean_with_its_standard_error() -> None:
    found = score(np.array([0.0, 1.0, 1.0, 1.0]))
    assert (found.mean, found.items) == (0.75, 4)
    assert found.error == pytest.approx(0.25)
    assert found.safe == pytest.approx(0.5)


def test_the_winner_must_be_worth_leaving_the_simpler_rule() -> None:
    rng = np.random.default_rng(0)
    simple = rng.random(32)
    better, equal, lucky = simple + 0.2, simple + np.tile([0.1, -0.09], 16), np.full(4, 9.0)
    assert winner({"simple": simple, "better": better}, ["simple"]) == "better"
    assert equal.mean() > simple.mean()
    assert winner({"simple": simple, "equal": equal}, ["simple"]) == "simple"
    assert winner({"simple": simple, "better": better, "lucky": lucky}, ["simple"]) == "better"  # 4 items are too few


def test_a_sure_dial_beats_a_lucky_one() -> None:
    sure, lucky = np.full(32, 0.9), np.r_[np.ones(30), np.zeros(2)]
    assert lucky.mean() > sure.mean()
    assert winner({"lucky": lucky, "sure": sure}, []) == "sure"


def test_distances_start_at_the_papers_and_end_where_the_first_token_stood() -> None:
    candidates = distances()
    assert candidates[0] == PAPER == "bapa"
    assert len(candidates) == STEPS + 1 == len(set(candidates))
    multiples = [parse(candidate).multiple for candidate in candidates[1:]]  # type: ignore[attr-defined]
    assert multiples == pytest.approx([2 * k / STEPS for k in range(1, STEPS + 1)], rel=1e-3)
    assert {getattr(parse(candidate), "delta", 0) for candidate in candidates} == {0}


def test_around_a_distance_lie_its_halves_and_strides() -> None:
    found = [parse(candidate) for candidate in around("calibrated:distance=1x", 24)]
    assert [(rule.multiple, rule.delta) for rule in found] == [  # type: ignore[attr-defined]
        (0.9583, 0), (1.042, 0), (1, 0.05), (1, 0.15), (1, 0.3),
    ]  # fmt: skip
    assert around("bapa") == []
    assert {parse(candidate).delta for candidate in around("calibrated:distance=0.1x")} == {0, 0.05}  # type: ignore[attr-defined]
    assert max(parse(candidate).multiple for candidate in around("calibrated:distance=2x")) == 2  # type: ignore[attr-defined]
