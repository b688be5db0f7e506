from __future__ import annotations

import copy

import pytest

from bapa.report import chance
from tests.report.fakes import FLAT, LOW, SKEWED, fake_bias


@pytest.fixture(scope="module")
def bias() -> dict:
    return fake_bias({"native": SKEWED, "bapa": FLAT, "bapa:distance=native": LOW})


def test_every_scheme_is_judged_by_its_own_test(bias: dict) -> None:
    native, bapa, _ = chance.places(bias)
    assert (native.scheme, native.says) == ("native", "The place matters.")
    assert bapa.says == "No sign that the place matters."
    assert "more than chance" in native.numbers
    assert "no more than chance" in bapa.numbers
    floor = bias["schemes"]["native"]["tests"]["permutation_range"]["floor"]
    assert f"{100 * floor:.1f} on average" in native.numbers
    assert "Cochran's Q" in native.numbers
    assert "Each row further down" in native.numbers


def test_differences_say_their_direction_in_words(bias: dict) -> None:
    found = {(row.scheme, row.quantity): row for row in chance.differences(bias)}
    assert found["bapa", "Mean hit rate"].says == "higher"
    assert found["bapa", "Range over cells"].says == "more even"
    assert found["bapa", "Consistency"].says == "more consistent"
    assert {scheme for scheme, _ in found} == {"bapa", "bapa:distance=native"}
    assert found["bapa", "Range over cells"].size.startswith("−")
    assert found["bapa", "Range over cells"].interval.startswith("[−")


def test_no_word_of_direction_where_the_test_does_not_carry_it(bias: dict) -> None:
    changed = copy.deepcopy(bias)
    for row in changed["comparisons"]:
        row["p_adjusted"] = 0.2
    assert {row.says for row in chance.differences(changed)} == {"no clear difference"}


def test_what_was_not_tested_is_not_spoken_of(bias: dict) -> None:
    changed = copy.deepcopy(bias)
    changed["schemes"]["native"]["tests"]["permutation_range"]["p"] = None
    for row in changed["comparisons"]:
        row["p_adjusted"] = None
    assert [verdict.scheme for verdict in chance.places(changed)] == ["bapa", "bapa:distance=native"]
    assert list(chance.differences(changed)) == []
