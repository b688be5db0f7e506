from __future__ import annotations

import copy

import pytest

from bapa.report import chance, claims, words
from tests.report.fakes import FLAT, LOW, SKEWED, fake_bias


@pytest.fixture(scope="module")
def bias() -> dict:
    return fake_bias({"native": SKEWED, "bapa": FLAT, "bapa:distance=native": LOW})


def test_every_scheme_is_judged_by_its_own_test(bias: dict) -> None:
    native, bapa, low = chance.places(bias)
    assert (native.scheme, native.says) == ("native", "The place matters.")
    assert bapa.says == "Even."
    assert low.says == "Even."
    assert "more than chance" in native.numbers
    assert "no more than chance" in bapa.numbers
    floor = bias["schemes"]["native"]["tests"]["auc_range"]["floor"]
    assert f"{100 * floor:.1f} on average" in native.numbers
    assert "Each row further down" in native.numbers


def test_differences_say_their_direction_in_words(bias: dict) -> None:
    found = {(row.scheme, row.quantity): row for row in chance.differences(bias)}
    assert found["bapa", "Mean AUC"].says == "better"
    assert found["bapa", "Range of the AUC"].says == "more even"
    assert found["bapa", "Consistency"].says == "more consistent"
    assert {scheme for scheme, _ in found} == {"bapa", "bapa:distance=native"}
    assert found["bapa", "Range of the AUC"].size.startswith("−")
    assert found["bapa", "Range of the AUC"].interval.startswith("[−")
    assert {row.quantity for row in found.values() if row.primary} == {"Mean AUC", "Range of the AUC"}


def test_even_because_blind_is_said_in_the_table_too() -> None:
    faint = fake_bias({"native": SKEWED, "bapa": [[0.1] * 3] * 3})
    found = {row.quantity: row.says for row in chance.differences(faint)}
    assert found["Range of the AUC"] == "more even, because it cannot tell"
    blind = list(chance.places(faint))[1].says
    assert blind == "No sign that the place matters, but it cannot tell present from absent."


def test_no_word_of_direction_where_the_test_does_not_carry_it(bias: dict) -> None:
    changed = copy.deepcopy(bias)
    for row in changed["comparisons"]:
        row["p_adjusted"] = 0.2
    assert {row.says for row in chance.differences(changed)} == {"no clear difference"}


def test_what_was_not_tested_is_not_spoken_of(bias: dict) -> None:
    changed = copy.deepcopy(bias)
    changed["schemes"]["native"]["tests"]["auc_range"]["p_adjusted"] = None
    for row in changed["comparisons"]:
        row["p_adjusted"] = None
    assert [verdict.scheme for verdict in chance.places(changed)] == ["bapa", "bapa:distance=native"]
    assert list(chance.differences(changed)) == []


def test_what_is_no_answer_gets_no_verdict_but_the_reason(bias: dict) -> None:
    changed = copy.deepcopy(bias)
    changed["schemes"]["bapa"]["overall"]["mass"]["value"] = 0.0002
    changed["schemes"]["bapa"]["wanted"] = [{"token": "one", "share": 0.8}]
    said = {verdict.scheme: verdict for verdict in chance.places(changed)}["bapa"]
    assert said.says == "No verdict."
    assert "only 0.0 % of the model's probability falls on the answers" in said.numbers
    assert "'one' (80 %)" in said.numbers
    assert {row.says for row in chance.differences(changed) if row.scheme == "bapa"} == {"no clear difference"}
    assert claims.reading(changed, "bapa") == "no answers"


def test_what_only_the_correction_takes_back_is_said_so(bias: dict) -> None:
    """An interval of one range is not corrected for the other claims of the page; the sentence explains it."""
    changed = copy.deepcopy(bias)
    changed["schemes"]["native"]["tests"]["auc_range"] |= {"p": 0.02, "p_adjusted": 0.08}
    native = next(chance.places(changed))
    assert native.says != "The place matters."
    assert "p = 0.08, corrected over the claims of this page; p = 0.02 alone" in native.numbers
    assert "alone" not in next(iter(chance.places(bias))).numbers


def test_a_test_over_few_clusters_is_called_weak(bias: dict) -> None:
    assert claims.few(bias) == ""
    changed = {**bias, "clusters": {"by": "group", "number": 5}}
    assert claims.few(changed).startswith("Only 5 classes stand behind intervals and tests")
    assert any("has little power" in line for line in words.findings(changed))
    assert not any("has little power" in line for line in words.findings(bias))


def test_where_no_answer_was_read_there_is_no_verdict(bias: dict) -> None:
    silent = copy.deepcopy(bias)
    for scheme in silent["schemes"].values():
        for quantity in ("auc", "auc_range", "hit", "range", "mass"):
            scheme["overall"][quantity] = {"value": None, "low": None, "high": None}
        for test in scheme["tests"].values():
            test.update(p=None, p_adjusted=None)
    assert {row.says for row in chance.places(silent)} == {"No verdict."}
    assert words.answer([("one", silent)]) == ""
    said = words.spread(silent)
    assert "no item has answers that can be read" in said
