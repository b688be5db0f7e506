"""Every item of a run with what the model answered under each scheme: a page of one table that can be filtered."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

import bapa
from bapa.files import replacing
from bapa.measure import Run
from bapa.probe.slots import Slots
from bapa.report.environment import page as fill

if TYPE_CHECKING:
    from bapa.probe import Probe

_COLUMNS = ("item", "question", "scheme", "expected", "answer", "margin", "correct", "top")
_MARGINS = 100  # steps of a margin that are kept: hundredths


def write(name: str, run: Run, probe: Probe | None, page: Path, back: str) -> Path:
    """Write the page of ``run``, called ``name``, and return where it is. ``back``: the report it belongs to.

    Some 60 bytes for each item, question and scheme, however many cells; pictures are in the report.
    """
    slots = Slots.of(run.bias["probe"])
    html = fill(
        "items.html.j2",
        name=name,
        back=back,
        slots=slots,
        data=_embedded(told(run.answers(), probe, slots)),
        version=bapa.__version__,
        quantities=[],
    )
    with replacing(page) as part:
        part.write_text(html, "utf-8")
    return page


def told(answers: pd.DataFrame, probe: Probe | None, slots: Slots) -> dict[str, Any]:
    """What the page shows, in short. ``answers``: the rows of ``answers.parquet``.

    ``rows``: item, question, scheme and expected answer as places in the lists beside it, then by cell the answer, the
    margin in hundredths, and whether it is right (0, 1, 2: not read); the word that the model would rather have said
    where that is another. The expected answer is a list by cell where it depends on the cell.
    """
    words = _Places()
    questions, schemes = (list(dict.fromkeys(answers[name])) for name in ("question", "scheme"))
    items = answers.drop_duplicates("item").set_index("item")
    numbers = {number: place for place, number in enumerate(items.index)}
    by = answers.sort_values(["item", "question", "scheme", "cell"])
    columns = (by[name] if name in by else [None] * len(by) for name in _COLUMNS)
    rows: list[list[Any]] = []
    for (item, question, scheme), its in groupby(zip(*columns, strict=True), key=lambda row: row[:3]):
        expected, answer, margin, correct, top = zip(*(row[3:] for row in its), strict=True)
        rather = [words.of(text) if text != said else -1 for text, said in zip(top, answer, strict=True)]
        rows.append(
            [
                numbers[item],
                questions.index(question),
                schemes.index(scheme),
                words.of(expected[0]) if len({*expected}) == 1 else [words.of(text) for text in expected],
                [words.of(text) for text in answer],
                [None if x is None or math.isnan(x) else round(_MARGINS * x) for x in margin],
                "".join("2" if x is None or x != x else str(int(x)) for x in correct),
                rather if max(rather) >= 0 else 0,
            ]
        )
    rows.sort(key=lambda row: row[:3])
    return {
        "cells": [slots.name(cell) for cell in range(slots.rows * slots.cols)],
        "questions": questions,
        "schemes": schemes,
        "items": [
            [str(number), _text(items.get("caption"), number), _text(items.get("group"), number)] for number in numbers
        ],
        "asked": _asked(probe, list(numbers), questions),
        "words": words.all,
        "rows": rows,
    }


class _Places:
    """Texts, each once, by their place in ``all``; the place of what is no text is −1."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.places: dict[str, int] = {}

    def of(self, text: object) -> int:
        """The place of ``text``."""
        if not isinstance(text, str):
            return -1
        if text not in self.places:
            self.places[text] = len(self.all)
            self.all.append(text)
        return self.places[text]


def _text(column: pd.Series | None, number: int) -> str:
    value = None if column is None else column[number]
    return value if isinstance(value, str) else ""


def _asked(probe: Probe | None, numbers: Sequence[int], questions: Sequence[str]) -> list[list[str]]:
    """By item and question, the text of the question with the target in the first cell; empty without the probe."""
    if probe is None:
        return []
    by_number = {item.item: item for item in probe.items}
    found = []
    for number in numbers:
        texts: Mapping[str, str] = {
            question.question_id: question.shown for question in probe.questions(by_number[number], 0)
        }
        found.append([texts.get(question, "") for question in questions])
    return found


def _embedded(data: Mapping[str, Any]) -> Markup:
    """JSON that nothing in it can end the script element of."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)
