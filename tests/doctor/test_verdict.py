"""The verdict, from answers made up."""

from __future__ import annotations

import numpy as np
import pytest

from bapa.doctor.questions import SIDE, Asked, draw
from bapa.doctor.server import Examination
from bapa.doctor.verdict import Compared, Verdict, judge, pointing
from bapa.report.server import rows

ASKED = draw(4, 1).asked


def given(place: object, right: float = 1.0, seed: int = 0) -> np.ndarray:
    """Answers at ``place`` of (row, column), a share of them right, else drawn."""
    rng = np.random.default_rng(seed)
    found = np.zeros((len(ASKED), SIDE))
    for number, one in enumerate(ASKED):
        if one.line is None:
            choice = one.question.choices.index(one.question.answer)
        else:
            here, other = (one.row, one.col) if one.line == "row" else (one.col, one.row)
            choice = place(here, other) if rng.random() < right else int(rng.integers(SIDE))  # type: ignore[operator]
        found[number, choice] = 1
    return found


def test_every_target_visits_every_row_and_column() -> None:
    for line in ("row", "column"):
        visits: dict[str, list[int]] = {}
        for one in ASKED:
            if one.line == line:
                visits.setdefault(one.question.text, []).append(one.row if line == "row" else one.col)
        assert all(sorted(places) == [0, 1, 2] for places in visits.values())


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        (lambda here, other: here, "in use"),
        (lambda here, other: (here + 1) % 3, "shifted"),
        (lambda here, other: (here - 1) % 3, "shifted"),
        (lambda here, other: 2 - here, "shifted"),
        (lambda here, other: other, "swapped"),
        (lambda here, other: 0, "cannot be told"),
    ],
)
@pytest.mark.parametrize("right", [1.0, 0.8])
def test_answers_alone(place: object, kind: str, right: float) -> None:
    assert judge(ASKED, given(place, right)).kind == kind


def test_guesses_are_no_verdict() -> None:
    assert {judge(ASKED, given(None, 0, seed)).kind for seed in range(200)} == {"cannot be told"}


def test_one_line_that_is_wrong_is_not_covered_by_one_that_is_right() -> None:
    shares = given(lambda here, other: here)
    for number, one in enumerate(ASKED):
        if one.line == "row":
            shares[number] = np.eye(3)[(one.row + 1) % 3]
    assert judge(ASKED, shares).kind == "shifted"


def test_a_model_that_tells_no_places_cannot_be_judged_by_words() -> None:
    same = given(lambda here, other: 0)
    native = Compared("its own", "in use", same)
    assert judge(ASKED, same, native, [Compared("shared", "shared", same)]).kind == "cannot be told"


def test_a_server_unlike_everything_is_wrong_where_transformers_tells_places() -> None:
    native = Compared("its own", "in use", given(lambda here, other: here))
    assert judge(ASKED, given(None, 0, 3), native).kind == "wrong"


def test_where_a_server_sees_nothing_that_transformers_sees_it_is_said() -> None:
    """The fault may lie in the pictures, not in their positions."""
    native = Compared("its own", "in use", given(lambda here, other: here))
    blind = given(None, 0, 3)
    for number, one in enumerate(ASKED):
        if one.line is None:
            blind[number] = np.eye(SIDE)[0]
    found = judge(ASKED, blind, native)
    assert (found.kind, found.seen, found.controls) == ("wrong", 12, 24)
    assert found.why == "it does not see what is on the pictures"
    assert not judge(ASKED, given(None, 0, 3), native).why


def test_rows_named_where_the_column_is_asked_are_no_swap() -> None:
    """A model that knows rows alone: of its answers about columns only the middle can be read, and follows the row."""
    asked = draw(6, 1).asked
    shares = np.full((len(asked), SIDE), np.nan)
    for number, one in enumerate(asked):
        if one.line == "row" or one.row == 1:
            shares[number] = np.eye(SIDE)[one.row]
    found = judge(asked, shares)
    assert found.kind == "in use"
    assert [point.at for point in found.pointing] == ["the target", None]


def test_unread_answers_say_nothing() -> None:
    shares = np.full((len(ASKED), 3), np.nan)
    found = judge(ASKED, shares)
    assert found.kind == "cannot be told"
    assert "too few answers" in found.why
    assert pointing(ASKED, np.full(len(ASKED), -1), "row").unread == sum(
        isinstance(a, Asked) and a.line == "row" for a in ASKED
    )


def shown(verdict: Verdict) -> dict[str, str]:
    return dict(rows(Examination("http://127.0.0.1:8000", "model", verdict, len(ASKED), len(ASKED), 0, 1.0)))


def test_of_a_model_that_names_no_places_no_place_and_no_mere_length_is_told() -> None:
    """It answers, but never with a place, and sees what is there; wrong positions would take that from it."""
    shares = given(lambda here, other: here)
    shares[[one.line is not None for one in ASKED]] = np.nan
    alone = shown(judge(ASKED, shares))
    assert (
        "(top, middle, bottom, left, right): this model does not tell places, or its answers are cut off"
        in (alone["positions"])
    )
    assert alone["rows"] == alone["columns"] == "none of 48 answers names a place"

    native, fault = given(lambda here, other: 0), given(lambda here, other: 0)
    for number, one in enumerate(ASKED):
        if one.line is None:
            fault[number] = fault[number, [1, 0, 2]]
    against = judge(ASKED, shares, Compared("its own", "in use", native), [Compared("zero", "ignored", fault)])
    assert against.kind == "in use"
    assert shown(against)["positions"] == "in use: answers are those of transformers with the model's own positions"
    follows = judge(ASKED, given(lambda here, other: here))
    assert shown(follows)["positions"] == "in use: answers follow the place of what is asked about"
