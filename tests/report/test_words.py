from __future__ import annotations

import copy

import pytest

from bapa.report import words
from bapa.stats.floors import SeedNoise, Spread
from tests.report.fakes import FLAT, LOW, SKEWED, fake_bias

UNIFORM = [[0.9] * 3] * 3


@pytest.fixture(scope="module")
def bottom() -> dict:
    return fake_bias({"native": SKEWED, "bapa": FLAT, "bapa:distance=native": LOW})


@pytest.fixture(scope="module")
def top() -> dict:
    return fake_bias({"native": SKEWED[::-1], "bapa": LOW, "bapa:distance=native": FLAT}, model="reference:top")


def test_the_promise(bottom: dict) -> None:
    uneven, promise, limit = words.findings(bottom)
    assert "at the top right" in uneven
    assert "at the bottom" in uneven
    assert promise.startswith("bapa flattens the map")
    assert "raises the mean hit rate" in promise
    assert "raises" not in limit


def test_the_verdict_follows_the_figures(bottom: dict, top: dict) -> None:
    both = words.verdict([("reference:bottom", bottom), ("reference:top", top)])
    assert both.startswith(
        "No scheme is best everywhere (bapa on reference:bottom, bapa:distance=native on reference:top)"
    )
    assert words.verdict([("one", bottom), ("two", bottom)]) == "bapa does best on every model here."
    assert words.verdict([("one", bottom)]) == ""


def test_in_brief_every_number_is_from_the_figures(bottom: dict) -> None:
    said = words.in_brief("m", bottom)
    for scheme, found in bottom["schemes"].items():
        span, level = (f"{100 * found['overall'][key]['value']:.0f}" for key in ("range", "hit"))
        assert f"{span} points and {level} % under {scheme}" in said
    assert words.summary([("m", bottom)]) == [said]


def test_saying_yes_to_everything_is_called_guessing(bottom: dict) -> None:
    assert words.guesses(bottom) == ""
    changed = copy.deepcopy(bottom)
    changed["schemes"]["bapa"]["overall"]["balanced_accuracy"] = {"value": 0.5, "low": 0.48, "high": 0.53}
    assert words.findings(changed)[-1] == "No better than guessing, by balanced accuracy: bapa (50 [48, 53])."


def test_no_claim_where_the_interval_holds_zero(bottom: dict) -> None:
    changed = copy.deepcopy(bottom)
    for row in changed["comparisons"]:
        row["difference"] = {"value": 0.2, "low": -0.1, "high": 0.5}
    said = words.effect(changed, "bapa")
    assert "leaves the map as uneven as it was" in said
    assert "hardly moves" in said


def test_an_even_model_is_called_even() -> None:
    even = fake_bias({"native": UNIFORM})
    assert "by no more than chance" in words.spread(even)
    assert words.findings(even) == [words.spread(even)]


def test_the_question_is_answered_by_the_test(bottom: dict) -> None:
    even = fake_bias({"native": UNIFORM})
    assert words.answer([("one", bottom)]) == "Yes."
    assert words.answer([("one", bottom), ("two", bottom)]) == "Yes, for every model here."
    assert words.answer([("one", even)]) == "No more than chance allows."
    assert words.answer([("one", bottom), ("two", even)]) == "Yes for one; for two no more than chance allows."
    untested = copy.deepcopy(even)
    untested["schemes"]["native"]["tests"]["permutation_range"]["p"] = None
    assert words.answer([("one", untested)]) == ""


def test_the_base_is_native_where_there_is_one(bottom: dict) -> None:
    assert words.base(bottom) == "native"
    assert words.base(fake_bias({"bapa": FLAT, "bapa:distance=native": LOW})) == "bapa"


@pytest.mark.parametrize(
    ("rows", "cols", "cell", "said"),
    [
        (3, 3, (1, 1), "at the very centre"),
        (2, 2, (1, 0), "at the bottom left"),
        (1, 3, (0, 2), "at the right"),
        (4, 5, (3, 4), "in row 4, column 5"),
    ],
)
def test_places_are_named_as_people_do(rows: int, cols: int, cell: tuple[int, int], said: str) -> None:
    bias = {"probe": {"rows": rows, "cols": cols}}
    assert words.place({"row": cell[0], "col": cell[1]}, bias) == said


def test_a_null_arm_is_a_floor_and_no_remedy() -> None:
    found = fake_bias({"native": SKEWED, "null": SKEWED, "bapa": SKEWED})
    found["schemes"]["null"]["overall"]["balanced_accuracy"]["value"] = 1.0
    assert words.remedies(found) == ["bapa"]
    assert words.best(found) != "null"
    _, effect, floor = words.findings(found)
    assert effect.startswith("bapa ")
    assert floor.startswith("Floor of the arithmetic: with all positions moved by one constant (null)")
    assert f"{found['floors']['null']['flips']} of {80 * 9 * 3} answers flip" in floor


def test_seeds_are_told_one_by_one(bottom: dict) -> None:
    spread = {"hit": Spread((0.96, 0.98, 0.97)), "range": Spread((0.01, 0.02, 0.015))}
    native = {"hit": Spread((0.59, 0.43, 0.61)), "range": Spread((0.75, 0.96, 0.75))}
    noise = SeedNoise(
        ("a", "b", "c"),
        {"native": native, "bapa": spread},
        {("native", "bapa", "range"): Spread((-0.74, -0.94, -0.735))},
    )
    floor, change = words.findings(bottom, noise)[-2:]
    assert "over 3 seeds" in floor
    assert "43 to 61 % and 75 to 96 points under native; 96 to 98 % and 1 to 2 points under bapa" in floor
    assert change == "From native to bapa, seed by seed, the range changes by −74, −94, −74 points."
    turned = SeedNoise(noise.runs, noise.overall, {("bapa", "native", "range"): Spread((0.74, 0.94, 0.735))})
    assert words.findings(bottom, turned)[-1] == change, "whichever scheme was measured first"
