"""Criteria on answers whose scores are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bapa.calibrate import halving
from bapa.calibrate.criteria import (
    CRITERIA,
    LABEL_FREE,
    accuracy,
    agreement,
    certainty,
    confidence,
    information,
    margin,
)


def answers(yes: dict[str, list[list[float]]]) -> pd.DataFrame:
    """Rows from probabilities of yes: by kind of question, for each item, one per cell."""
    rows = [
        {"item": item, "cell": cell, "question": kind, "kind": kind, "scheme": "s", "margin": np.log(p / (1 - p))}
        | {"answer": "yes" if p > 0.5 else "no", "correct": (p > 0.5) == (kind == "present")}
        for kind, items in yes.items()
        for item, cells in enumerate(items)
        for cell, p in enumerate(cells)
    ]
    return pd.DataFrame(rows)


HALF_RIGHT = answers({"present": [[0.9, 0.1], [0.9, 0.9]], "absent": [[0.1, 0.1], [0.9, 0.1]]})
BLIND = answers({"present": [[0.01, 0.01], [0.01, 0.01]], "absent": [[0.01, 0.01], [0.01, 0.01]]})
SEEING = answers({"present": [[0.99, 0.99], [0.99, 0.99]], "absent": [[0.01, 0.01], [0.01, 0.01]]})


def test_accuracy_is_balanced_and_by_item() -> None:
    assert accuracy(HALF_RIGHT, 2).tolist() == [0.75, 0.75]
    assert accuracy(BLIND, 2).tolist() == [0.5, 0.5]
    present = HALF_RIGHT[HALF_RIGHT["kind"] == "present"]
    assert accuracy(present, 2).tolist() == [0.5, 1.0]


def test_agreement_counts_questions_with_one_answer() -> None:
    assert agreement(HALF_RIGHT, 2).tolist() == [0.5, 0.5]


def test_margin_and_certainty() -> None:
    assert margin(HALF_RIGHT, 2) == pytest.approx([np.log(9)] * 2)
    assert certainty(HALF_RIGHT, 2) == pytest.approx([1 + 0.9 * np.log2(0.9) + 0.1 * np.log2(0.1)] * 2)


def test_information_is_what_sets_a_seeing_model_apart_from_a_sure_one() -> None:
    for criterion in (margin, certainty, agreement):
        assert criterion(BLIND, 2) == pytest.approx(criterion(SEEING, 2))
    assert information(BLIND, 2) == pytest.approx([0, 0], abs=1e-9)
    entropy = -(0.99 * np.log2(0.99) + 0.01 * np.log2(0.01))
    assert information(SEEING, 2).mean() == pytest.approx(1 - entropy)


def test_label_free_ones_do_not_read_the_labels() -> None:
    hidden = HALF_RIGHT.drop(columns=["correct"])
    for name in LABEL_FREE:
        assert CRITERIA[name](hidden, 2).shape == (2,)
    with pytest.raises(KeyError):
        accuracy(hidden, 2)


def test_confidence_tells_apart_what_accuracy_cannot() -> None:
    timid = answers({"present": [[0.6, 0.6], [0.6, 0.6]], "absent": [[0.2, 0.2], [0.2, 0.2]]})
    assert accuracy(timid, 2).tolist() == accuracy(SEEING, 2).tolist() == [1, 1]
    assert confidence(timid, 2) == pytest.approx([0.7, 0.7])
    assert confidence(SEEING, 2) == pytest.approx([0.99, 0.99])
    assert confidence(timid[timid["kind"] == "present"], 2) == pytest.approx([0.6, 0.6])


def test_an_item_without_a_lure_is_scored_by_its_hits() -> None:
    """A captioned folder gives some items none; their score was not a number, and so was the candidate's."""
    less = HALF_RIGHT[~((HALF_RIGHT["item"] == 0) & (HALF_RIGHT["kind"] == "absent"))]
    assert accuracy(less, 2).tolist() == [0.5, 0.75]
    better = answers({"present": [[0.9, 0.9], [0.9, 0.9]], "absent": [[0.1, 0.1], [0.1, 0.1]]})
    better = better[~((better["item"] == 0) & (better["kind"] == "absent"))]
    assert halving.winner({"native": accuracy(less, 2), "bapa": accuracy(better, 2)}, ["native"]) == "bapa"


def test_beside_yes_and_no_where_it_stands_is_no_part_of_a_score() -> None:
    where = HALF_RIGHT[HALF_RIGHT["kind"] == "present"].assign(
        kind="where_row", question="row", margin=-9.0, answer="B"
    )
    both = pd.concat([HALF_RIGHT, where], ignore_index=True)
    for name, criterion in CRITERIA.items():
        assert criterion(both, 2).tolist() == criterion(HALF_RIGHT, 2).tolist(), name
