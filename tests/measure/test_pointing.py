"""Pointing: from what a model wrote or chose to the right cell and a signed offset."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bapa.errors import ConfigError, RunError
from bapa.inference.reading import from_text
from bapa.measure.pointing import of_answers
from bapa.probe import Design, Probe, build
from bapa.probe.region import Region
from bapa.stats import Settings


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("digits", tmp_path_factory.mktemp("point") / "probe", Design(task="point", items=12, seed=3))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("digits", tmp_path_factory.mktemp("lines") / "probe", Design(task="where", items=12, seed=3))


def asked(probe: Probe, replies: dict[int, str], scheme: str = "native") -> pd.DataFrame:
    """Answers to every canvas: ``replies`` by cell, else a box right on the target."""
    rows = []
    for item in probe.items:
        for cell in range(probe.cells):
            (question,) = probe.questions(item, cell)
            region = Region.read(question.answer)
            assert region is not None
            box = "<box>[[{:.0f},{:.0f},{:.0f},{:.0f}]]</box>".format(*(1000 * share for share in region.shares))
            answer = from_text(replies.get(cell, box), question)
            about = {"item": item.item, "cell": cell, "scheme": scheme, "question": "point", "kind": question.kind}
            rows.append({**about, "expected": question.answer, "answer": answer.answer, "correct": answer.correct})
    return pd.DataFrame(rows)


def test_a_probe_asks_to_point_and_knows_where_the_target_stands(probe: Probe) -> None:
    (question,) = probe.questions(probe.items[0], 5)
    assert (question.kind, question.choices, question.answer) == ("point", (), "48,24,72,48 of 72x72")
    assert probe.items[0].caption in question.text
    region = Region.read(question.answer)
    assert region == Region.of(probe.design, 5)
    assert Region.read("the middle") is None


def test_right_everywhere(probe: Probe) -> None:
    found = of_answers(asked(probe, {}), probe, Settings())["native"]
    assert found.right["value"] == 1
    assert found.missed == 0
    assert found.across["value"] == pytest.approx(0, abs=0.01)
    assert found.down["value"] == pytest.approx(0, abs=0.01)


def test_offsets_have_a_sign_and_misses_are_counted(probe: Probe) -> None:
    """Of nine cells one is never read, one is pointed at a cell too far right, one a cell too low."""
    middle_right = "<box>[[700,400,966,600]]</box>"  # centre of cell 5, asked about cell 4
    found = of_answers(asked(probe, {0: "I cannot see it.", 4: middle_right, 1: "(0.5, 0.5)"}), probe, Settings())[
        "native"
    ]
    assert found.right["value"] == pytest.approx(6 / 9)
    assert found.row["value"] == pytest.approx(7 / 9), "the one not read and the one too low are in the wrong row"
    assert found.col["value"] == pytest.approx(7 / 9), "the one not read and the one too far right"
    assert found.missed == pytest.approx(1 / 9)
    assert found.across["value"] == pytest.approx(1 / 8, abs=0.02)
    assert found.down["value"] == pytest.approx(1 / 8, abs=0.02)


def test_a_row_that_is_not_read_leaves_the_columns_and_is_missed(lines: Probe) -> None:
    rows = []
    for item in lines.items:
        for cell in range(lines.cells):
            for question in lines.questions(item, cell):
                right = question.kind == "where_col" and cell % 3 < 2  # one column too far right
                answer = question.choices[question.choices.index(question.answer) + right]
                unread = (question.kind, cell) in (("where_row", 0), ("where_col", 8))
                about = {"item": item.item, "cell": cell, "scheme": "bapa", "question": question.question_id}
                about |= {"kind": question.kind, "expected": question.answer}
                rows.append({**about, "answer": None if unread else answer})
    found = of_answers(pd.DataFrame(rows), lines, Settings())["bapa"]
    assert found.missed == pytest.approx(2 / 9), "a place is a row and a column"
    assert found.down["value"] == 0, "of the eight cells whose rows were read"
    assert found.across["value"] == pytest.approx(6 / 8), "of the eight cells whose columns were read"


def test_rows_and_columns_point_too(lines: Probe) -> None:
    rows = []
    for item in lines.items:
        for cell in range(lines.cells):
            for question in lines.questions(item, cell):
                up = question.kind == "where_row" and cell >= 3  # always one row too high
                answer = question.choices[question.choices.index(question.answer) - up]
                about = {"item": item.item, "cell": cell, "scheme": "bapa", "question": question.question_id}
                rows.append({**about, "kind": question.kind, "expected": question.answer, "answer": answer})
    found = of_answers(pd.DataFrame(rows), lines, Settings())["bapa"]
    assert found.right["value"] == pytest.approx(1 / 3)
    assert (found.row["value"], found.col["value"]) == (pytest.approx(1 / 3), 1)
    assert found.down["value"] == pytest.approx(-2 / 3)
    assert found.across["value"] == 0


def test_what_cannot_point_is_an_error(probe: Probe, tmp_path: Path) -> None:
    other = asked(probe, {}).assign(kind="order")
    with pytest.raises(RunError, match="this run asks order; pointing needs"):
        of_answers(other, probe, Settings())
    with pytest.raises(ConfigError, match="with images:8 use where"):
        Design(task="point", slots="images:8")
