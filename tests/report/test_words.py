from __future__ import annotations

import copy

import pytest

from bapa.report import chance, words
from bapa.stats.floors import SeedNoise, Spread
from tests.report.fakes import FLAT, LOW, SKEWED, fake_bias

UNIFORM = [[0.9] * 3] * 3
FAINT = [[0.1] * 3] * 3


@pytest.fixture(scope="module")
def bottom() -> dict:
    return fake_bias({"native": SKEWED, "bapa": FLAT, "bapa:distance=native": LOW})


@pytest.fixture(scope="module")
def top() -> dict:
    return fake_bias({"native": SKEWED[::-1], "bapa": LOW, "bapa:distance=native": FLAT}, model="reference:top")


def test_the_promise(bottom: dict) -> None:
    uneven, promise, limit = words.findings(bottom)
    assert uneven.startswith("Under native the place matters: the AUC differs by")
    assert "at the top right" in uneven
    assert "at the bottom" in uneven
    assert promise.startswith("bapa evens the map and tells present from absent better than native")
    assert limit.startswith("bapa:distance=native evens the map with no clear change in how well it tells")


def test_the_verdict_follows_the_tests(bottom: dict, top: dict) -> None:
    both = words.verdict([("reference:bottom", bottom), ("reference:top", top)])
    assert "better than native" in both.lower()
    assert "bapa on reference:bottom, bapa:distance=native on reference:top" in both
    said = words.verdict([("one", bottom), ("two", bottom)])
    assert said == "bapa tells present from absent better than native on every model here."
    assert words.verdict([("one", bottom)]) == ""


def test_a_scheme_that_serves_one_model_and_harms_another_is_named(bottom: dict) -> None:
    harmed = fake_bias({"native": FLAT, "bapa": LOW})
    said = words.verdict([("one", bottom), ("two", harmed)])
    assert said == "What serves depends on the model: better than native is bapa on one; worse is bapa on two."


def test_two_null_models_depend_on_nothing() -> None:
    even = fake_bias({"native": UNIFORM, "bapa": UNIFORM})
    assert words.verdict([("one", even), ("two", even)]) == ""


def test_in_brief_every_number_is_from_the_figures(bottom: dict) -> None:
    said = words.in_brief("m", bottom)
    for scheme, found in bottom["schemes"].items():
        span, level = (words.percent(found["overall"][key]["value"]) for key in ("auc_range", "auc"))
        assert f"{span} points and {level} % under {scheme}" in said
    assert words.summary([("m", bottom)]) == [said]


def test_more_even_because_blind_is_said() -> None:
    said = words.effect(fake_bias({"native": SKEWED, "bapa": FAINT}), "bapa")
    assert said.startswith("bapa: more even because it cannot tell present from absent (AUC ")


def test_even_because_blind_is_said() -> None:
    """Two flat maps: one of a model that tells, one of a model that says no to nearly everything."""
    blind = fake_bias({"native": UNIFORM, "bapa": [[0.05] * 3] * 3})
    said = words.effect(blind, "bapa")
    assert said.startswith("bapa: even because it cannot tell present from absent (AUC ")
    assert "evens the map" not in said


def test_a_lost_threshold_is_no_lost_margin(bottom: dict) -> None:
    changed = copy.deepcopy(bottom)
    changed["schemes"]["bapa"]["keeps"]["balanced_accuracy"] = "lost"
    said = words.effect(changed, "bapa")
    assert "more even, but it tells present from absent worse than native by more than 5 points (balanced" in said
    assert "not so by its margins" in said


def test_a_model_that_tells_well_is_not_said_to_be_blind() -> None:
    """It tells worse than natively, by more than the margin; that this is why it is even was not asked."""
    worse = fake_bias({"native": UNIFORM, "bapa": UNIFORM})
    worse["schemes"]["bapa"]["keeps"]["auc"] = "lost"
    said = words.effect(worse, "bapa")
    assert said.startswith("bapa: no sign that the place matters, but it tells present from absent worse than native")
    assert "because" not in said


def test_no_answer_is_given_for_every_model_where_some_cannot_be_told() -> None:
    uneven, mute = fake_bias({"native": SKEWED, "bapa": UNIFORM}), fake_bias({"native": UNIFORM, "bapa": UNIFORM})
    for scheme in mute["schemes"].values():
        scheme["overall"]["mass"]["value"] = 0.01
    assert words.answer([("a", uneven), ("b", mute)]) == "Yes for a; for b it cannot be told."
    assert words.answer([("a", uneven), ("b", uneven)]) == "Yes, for every model here."


def test_runs_with_different_bases_have_no_verdict_together() -> None:
    one, other = fake_bias({"native": SKEWED, "bapa": UNIFORM}), fake_bias({"reverse": SKEWED, "bapa": UNIFORM})
    assert words.verdict([("a", one), ("b", one)])
    assert words.verdict([("a", one), ("b", other)]) == ""


def test_no_claim_where_the_test_carries_none(bottom: dict) -> None:
    changed = copy.deepcopy(bottom)
    for row in changed["comparisons"]:
        row["p_adjusted"] = 0.2
    said = words.effect(changed, "bapa")
    assert "has no clear effect on how even the map is" in said
    assert "no clear change in how well" in said


def test_sentences_and_table_go_by_one_rule(bottom: dict) -> None:
    for p in (0.049, 0.051):
        changed = copy.deepcopy(bottom)
        for row in changed["comparisons"]:
            row["p_adjusted"] = p
        says = {row.quantity: row.says for row in chance.differences(changed) if row.scheme == "bapa"}
        assert ("evens the map" in words.effect(changed, "bapa")) == (says["Range of the AUC"] == "more even")


def test_an_even_model_is_called_even() -> None:
    even = fake_bias({"native": UNIFORM}, items=160)
    assert words.findings(even) == [words.spread(even)]
    assert words.spread(even).startswith(("Under native the map is even", "Under native there is no sign"))


def test_what_is_no_answer_is_said_first(bottom: dict) -> None:
    changed = copy.deepcopy(bottom)
    changed["schemes"]["native"]["overall"]["mass"]["value"] = 0.0002
    changed["schemes"]["native"]["wanted"] = [{"token": "<think>", "share": 1.0}]
    (said,) = words.findings(changed)
    assert said.startswith("No verdict on native")
    assert "'<think>' (100 %)" in said
    assert words.answer([("one", changed)]) == ""


def test_the_question_is_answered_by_the_test(bottom: dict) -> None:
    even = fake_bias({"native": UNIFORM})
    assert words.answer([("one", bottom)]) == "Yes."
    assert words.answer([("one", bottom), ("two", bottom)]) == "Yes, for every model here."
    assert words.answer([("one", even)]) == "No more than chance allows."
    assert words.answer([("one", bottom), ("two", even)]) == "Yes for one; for two no more than chance allows."


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
    assert words.remedies(found) == ["bapa"]
    assert words.best(found) == "native"
    _, effect, floor = words.findings(found)
    assert effect.startswith("bapa ")
    assert floor.startswith("Floor of the arithmetic: with all positions moved by one constant (null)")
    assert f"{found['floors']['null']['flips']} of {80 * 9 * 3} answers flip" in floor


def test_seeds_are_told_one_by_one(bottom: dict) -> None:
    spread = {"auc": Spread((0.96, 0.98, 0.97)), "auc_range": Spread((0.01, 0.02, 0.015))}
    native = {"auc": Spread((0.59, 0.43, 0.61)), "auc_range": Spread((0.75, 0.96, 0.75))}
    noise = SeedNoise(
        ("a", "b", "c"),
        {"native": native, "bapa": spread},
        {("native", "bapa", "auc_range"): Spread((-0.74, -0.94, -0.735))},
    )
    floor, change = words.findings(bottom, noise)[-2:]
    assert "over 3 seeds" in floor
    assert "43 to 61 % and 75 to 96 points under native; 96 to 98 % and 1 to 2 points under bapa" in floor
    assert change == "From native to bapa, seed by seed, the range of the AUC changes by −74, −94, −74 points."
