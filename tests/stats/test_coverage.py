"""The coverage study in miniature: intervals hold the truth, tests do not find what is not there, sentences follow.

The bounds allow for the few runs: a chance below 1 in 1000 of failing by luck.
"""

from __future__ import annotations

import pytest

from studies.coverage.causes import CAUSES, said
from studies.coverage.planted import World, steep
from studies.coverage.run import blind_reports, coverage, null_reports, rejections

RUNS = 20
MISSES, FALSE = 5, 5  # of 20, where 1 is expected


@pytest.fixture(scope="module")
def covered() -> dict[str, dict[str, float]]:
    return coverage(World((steep(0.56, 0.8), steep(0.56, 0.8)), 40), RUNS)


@pytest.mark.parametrize(
    "name", ["auc", "auc_range", "hit", "range", "worst_cell", "false_alarm", "auc_range, b - a", "hit, b - a"]
)
def test_intervals_hold_the_truth(covered: dict[str, dict[str, float]], name: str) -> None:
    assert (1 - covered[name]["holds"]) * RUNS <= MISSES + 0.5


def test_the_range_is_not_inflated(covered: dict[str, dict[str, float]]) -> None:
    assert covered["range"]["mean"] < covered["range"]["true"] + 0.03


@pytest.mark.parametrize(
    "world",
    [World((0.7, 0.7), 40), World((0.7, 0.7), 40, wordings=3), World((0.7, 0.7), 100, groups=10)],
    ids=["one wording", "three wordings", "ten classes"],
)
def test_nothing_is_found_where_there_is_nothing(world: World) -> None:
    found = rejections(world, RUNS)
    assert {name for name, share in found.items() if share * RUNS > FALSE + 0.5} == set()


def test_two_flat_maps_at_different_levels_have_one_range() -> None:
    found = rejections(World((0.5, 0.97), 60), RUNS)
    assert found["range"] * RUNS <= FALSE
    assert found["auc_range"] * RUNS <= FALSE
    assert found["hit"] == 1, "the levels differ, and that is found"


def test_a_planted_range_is_found() -> None:
    found = rejections(World((steep(0.3, 0.95), 0.7), 60), 10)
    assert found["range"] >= 0.8
    assert found["place, hits"] >= 0.9


def test_reports_on_nothing_claim_nothing_and_blind_ones_are_called_so() -> None:
    found = null_reports(4)
    assert found["either"] <= 0.25
    assert found["sentence and table disagree"] == 0
    blind = blind_reports(World((0.7, 0.05), 60), 2)
    assert blind["even because it cannot tell"] == 1
    assert blind["called even"] == 0


def test_half_and_half_is_both() -> None:
    found = said(2, CAUSES["half encoder, half position"])
    assert set(found) <= {"both", "unknown", "runs"}
