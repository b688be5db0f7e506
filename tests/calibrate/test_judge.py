"""What the judging items say: at least as good as native or not, more than a threshold or not, apart or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bapa.calibrate import apart, halving, judge
from bapa.calibrate.criteria import accuracy
from bapa.probe import Design, build
from bapa.stats import Settings
from tests.stats.planted import answers

SETTINGS = Settings()
NAMES = ("hit", "false_alarm", "balanced_accuracy", "auc")


def against(native: float, chosen: float, items: int = 60, seed: int = 0) -> dict[str, object]:
    return judge.against_native(answers({"native": native, "c": chosen}, items, seed=seed), "c", 9, SETTINGS)


def test_better_worse_equivalent_and_open() -> None:
    assert against(0.6, 0.9)["says"] == "better"
    assert against(0.9, 0.6)["says"] == "worse"
    assert against(0.9, 0.9, items=120)["says"] == "equivalent"
    assert against(0.7, 0.7, items=6, seed=4)["says"] == "open"
    assert judge.against_native(answers({"native": 0.7}, 8), "native", 9, SETTINGS)["says"] == "same"


@pytest.mark.parametrize(("items", "says", "p"), [(2, "open", 0.5), (5, "not below", 2 / 32), (6, "better", 2 / 64)])
def test_items_that_all_change_alike_say_no_more_than_so_many_signs(items: int, says: str, p: float) -> None:
    frame = answers({"native": 0.9, "c": 0.9}, items)
    frame["correct"] = (frame["kind"] != "present") | (frame["scheme"] == "c")
    found = judge.against_native(frame, "c", 9, SETTINGS)
    assert found["difference"] == 0.5
    assert (found["says"], found["p"]) == (says, p)


def test_equivalence_is_two_one_sided_t_tests() -> None:
    frame = answers({"native": 0.8, "c": 0.8}, 40)
    found = judge.against_native(frame, "c", 9, SETTINGS)
    one, two = (accuracy(frame[frame["scheme"] == label], 9) for label in ("native", "c"))
    sides = [
        stats.ttest_1samp(two - one, side * judge.MARGIN, alternative=way).pvalue
        for side, way in ((-1, "greater"), (1, "less"))
    ]
    assert found["p_equivalent"] == pytest.approx(max(sides))
    assert found["p_below"] == pytest.approx(sides[0])


def test_items_of_one_class_are_one_observation() -> None:
    frame = answers({"native": 0.8, "c": 0.8}, 40)
    frame["group"] = "class " + (frame["item"] % 10).astype(str)
    assert judge.against_native(frame, "c", 9, SETTINGS)["observations"] == 10


def test_a_mere_threshold_is_an_arm_of_its_own() -> None:
    """A model that says no to nearly everything, though its margins tell: the threshold alone mends it."""
    picking, judging = answers({"native": 0.97}, 32, seed=1), answers({"native": 0.97}, 60, seed=2)
    for frame in (picking, judging):
        frame["margin"] -= 4
        frame["correct"] = (frame["margin"] > 0) == (frame["kind"] == "present")
    found = judge.arms({"native": picking}, judging, 9, NAMES, SETTINGS)["native"]
    assert found["threshold"] == pytest.approx(-4, abs=1.5)
    before = accuracy(judging, 9).mean()
    assert before < 0.75
    assert found["balanced_accuracy"]["low"] > 0.9
    assert found["auc"]["value"] > 0.95


def test_without_absent_questions_there_is_no_threshold() -> None:
    frame = answers({"native": 0.9}, 8)
    present = frame[frame["kind"] == "present"]
    assert judge.threshold(present) is None
    assert judge.arms({"native": present}, present, 9, ("hit",), SETTINGS) == {}


def test_the_threshold_splits_what_can_be_split() -> None:
    frame = pd.DataFrame({"kind": ["present"] * 3 + ["absent"] * 3, "margin": [5.0, 6, 7, 1, 2, 3]})
    assert 3 < judge.threshold(frame) < 5  # type: ignore[operator]


def test_questions_about_rows_have_no_say_in_the_threshold() -> None:
    """Those of a probe of task evidence: their margin is the right row's lead over the others."""
    frame = answers({"native": 0.97}, 32)
    rows = frame[frame["kind"] == "present"].assign(kind="where_row", question="where_row")
    rows["margin"] = np.random.default_rng(0).normal(-1, 0.5, len(rows))
    both = pd.concat([frame, rows], ignore_index=True)
    assert judge.threshold(both) == judge.threshold(frame)
    found, plain = (judge.arms({"native": its}, its, 9, NAMES, SETTINGS) for its in (both, frame))
    assert found == plain


def test_native_stays_unless_beaten_by_a_standard_error() -> None:
    rng = np.random.default_rng(0)
    native = rng.normal(0.7, 0.1, 32)
    ahead = native + np.tile([0.11, -0.1], 16)  # by half a point, with a standard error of two
    assert halving.winner({"native": native, "bapa": ahead}, ["native", "bapa"]) == "native"
    assert halving.winner({"native": native, "bapa": native + 0.1}, ["native", "bapa"]) == "bapa"
    assert halving.winner({"native": native, "bapa": native - 0.1}, ["native", "bapa"]) == "native"


def test_items_are_kept_apart_as_far_as_the_source_allows(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "probe", Design(items=120))
    found = apart.split(probe, 32, None)
    first = [probe.items[n] for n in range(32)]
    captions = {item.caption for item in first}
    assert found.apart in apart.KINDS[1:3]
    assert len(found.judging) >= apart.LEAST
    assert not captions & {probe.items[n].caption for n in found.judging}
    small = apart.split(probe, 32, 88)
    assert (small.apart, small.judging) == ("", tuple(range(32, 120)))


def test_a_source_with_enough_pictures_shares_none(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "probe", Design(rows=1, cols=2, items=200))
    found = apart.split(probe, 4, None)
    assert found.apart == "captions and pictures"
    shown = {tile for n in range(4) for tile in probe.items[n].layout}
    assert all(shown.isdisjoint(probe.items[n].layout) for n in found.judging)
