"""The page of every item: it holds every answer, is small, and nothing in it can end its script."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bapa.measure import load_run
from bapa.probe.slots import Slots
from bapa.report import items
from tests.report.fakes import FLAT, SKEWED, fake_answers, fake_bias, fake_run

TABLES = {"native": SKEWED, "bapa": FLAT}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run whose captions try to get out of it."""
    answers = fake_answers(TABLES, 20)
    answers["expected"] = "yes"
    answers["caption"] = "</script><b>red</b> & \u2028"
    folder = fake_run(tmp_path_factory.mktemp("items") / "run", fake_bias(TABLES, items=20), answers)
    return items.write("model", load_run(folder), None, folder / "items.html", "report.html")


def data(page: Path) -> dict:
    text = re.search(r'id="data"[^>]*>(.*?)</script>', page.read_text("utf-8"), re.S)
    return json.loads(text[1])


def test_every_answer_is_there(written: Path) -> None:
    found, answers = data(written), load_run(written.parent).answers()
    assert len(found["rows"]) == len(answers.groupby(["item", "question", "scheme"]))
    for item, question, scheme, expected, said, margins, right, _ in found["rows"]:
        its = answers[
            (answers["item"].astype(str) == found["items"][item][0])
            & (answers["question"] == found["questions"][question])
            & (answers["scheme"] == found["schemes"][scheme])
        ].sort_values("cell")
        assert [found["words"][place] for place in said] == list(its["answer"])
        assert found["words"][expected] == "yes"
        assert [margin / 100 for margin in margins] == pytest.approx(list(its["margin"]), abs=0.0051)
        assert right == "".join("1" if one else "0" for one in its["correct"])


def test_a_caption_cannot_get_out(written: Path) -> None:
    assert "<b>red" not in written.read_text("utf-8")
    assert data(written)["items"][0][1] == "</script><b>red</b> & \u2028"


def test_two_hundred_items_under_five_rules_stay_small(tmp_path: Path) -> None:
    tables = {f"rule-{n}": SKEWED for n in range(5)}
    folder = fake_run(tmp_path / "run", fake_bias(tables, items=200), fake_answers(tables, 200))
    page = items.write("model", load_run(folder), None, folder / "items.html", "report.html")
    assert page.stat().st_size < 500_000


def test_what_was_not_read_has_no_word() -> None:
    answers = fake_answers({"native": SKEWED}, 2)
    answers = answers.astype({"answer": object, "correct": object})
    answers.loc[answers["cell"] == 4, ["answer", "correct", "margin"]] = [None, None, float("nan")]
    found = items.told(answers, None, Slots("grid", 3, 3))
    assert all(row[4][4] == -1 and row[5][4] is None and row[6][4] == "2" for row in found["rows"])


def test_what_is_right_is_told_by_cell_where_it_depends_on_the_cell() -> None:
    answers = fake_answers({"native": SKEWED}, 2)
    answers["expected"] = "yes"
    where = answers["kind"] == "absent"
    answers.loc[where, "expected"] = answers.loc[where, "row"].map({0: "top", 1: "middle", 2: "bottom"})
    found = items.told(answers, None, Slots("grid", 3, 3))
    for _, question, _, expected, *_ in found["rows"]:
        if found["questions"][question] == "absent":
            rows = ["top"] * 3 + ["middle"] * 3 + ["bottom"] * 3
            assert [found["words"][place] for place in expected] == rows
        else:
            assert found["words"][expected] == "yes"
