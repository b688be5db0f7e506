from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import get_args

import pytest

from bapa.errors import ConfigError, ProbeError
from bapa.probe import Columns, Design, Item, build
from bapa.probe.design import TASKS
from bapa.probe.opening import Digits
from bapa.probe.placement import arrange
from bapa.probe.questions import ask
from bapa.probe.records import Folder
from bapa.probe.slots import Kind, Slots
from bapa.probe.taken import check_task
from bapa.probe.wording import standard


def design(**options: object) -> Design:
    return Design(**{"rows": 2, "cols": 3, "cell": 16, **options})


def test_match_asks_about_what_is_there_and_what_is_not(folder: Path, tmp_path: Path) -> None:
    probe = build(str(folder), tmp_path / "P", design())
    item = probe.items[0]
    questions = probe.questions(item, 4)
    assert [(q.question_id, q.answer) for q in questions] == [("present", "yes"), ("absent", "no"), ("lure", "no")]
    for question, caption in zip(questions, (item.caption, item.absent, item.near_miss), strict=True):
        assert f"Text: {caption}\n" in question.text
        assert question.choices == ("yes", "no")
    assert probe.questions(item, 0) == questions


def test_twins_can_be_left_out(folder: Path, tmp_path: Path) -> None:
    probe = build(str(folder), tmp_path / "P", design(absent=False, near_miss=False))
    assert [q.kind for q in probe.questions(probe.items[0], 0)] == ["present"]


def test_every_question_comes_in_every_prompt(folder: Path, tmp_path: Path) -> None:
    prompts = ("Is {caption} there?", "Do you see {caption} {{braces}}?")
    probe = build(str(folder), tmp_path / "P", design(prompts=prompts, near_miss=False))
    item = probe.items[0]
    assert [(q.question_id, q.text) for q in probe.questions(item, 0)] == [
        ("present/0", f"Is {item.caption} there?"),
        ("present/1", f"Do you see {item.caption} {{braces}}?"),
        ("absent/0", f"Is {item.absent} there?"),
        ("absent/1", f"Do you see {item.absent} {{braces}}?"),
    ]


def test_choice_hides_the_caption_among_absent_ones(folder: Path, tmp_path: Path) -> None:
    probe = build(str(folder), tmp_path / "P", design(task="choice", choices=4))
    targets = {item.target: item.caption for item in probe.items}
    for item in probe.items:
        (question,) = probe.questions(item, 0)
        lines = question.text.splitlines()[1:-1]
        assert question.choices == ("A", "B", "C", "D")
        assert [line for line in lines if line.startswith(question.answer)] == [f"{question.answer}. {item.caption}"]
        shown = {targets[tile] for tile in item.layout}
        assert len({line[3:] for line in lines} - shown) == 3
    letters = Counter(probe.questions(item, 0)[0].answer for item in probe.items)
    assert len(letters) == 4  # no letter is always right


def test_where_is_answered_by_the_cell(folder: Path, tmp_path: Path) -> None:
    probe = build(str(folder), tmp_path / "P", design(task="where"))
    answers = [tuple(q.answer for q in probe.questions(probe.items[0], cell)) for cell in range(6)]
    assert answers == [("A", "A"), ("A", "B"), ("A", "C"), ("B", "A"), ("B", "B"), ("B", "C")]
    row, col = probe.questions(probe.items[0], 5)
    assert (row.kind, row.choices, col.kind, col.choices) == ("where_row", ("A", "B"), "where_col", ("A", "B", "C"))
    assert "rows are lettered from A (top) to B (bottom)" in row.text
    assert "columns are lettered from A (left) to C (right)" in col.text


def test_where_does_not_ask_for_the_only_row(folder: Path, tmp_path: Path) -> None:
    probe = build(str(folder), tmp_path / "P", design(task="where", rows=1, cols=4))
    assert [q.kind for q in probe.questions(probe.items[0], 2)] == ["where_col"]


def test_vqa_asks_the_questions_of_the_source(folder: Path, tmp_path: Path) -> None:
    probe = build(str(folder), tmp_path / "P", design(task="vqa"))
    for item in probe.items:
        (question,) = probe.questions(item, 0)
        colour, noun = item.caption.split()[-2:]
        assert (question.kind, question.answer, question.choices) == ("vqa", colour, ())
        assert f"{item.caption}\nWhat colour is the {noun}?" in question.text


def test_vqa_leaves_out_pictures_without_a_question(folder: Path, tmp_path: Path) -> None:
    text = (folder / "metadata.jsonl").read_text().replace('"answer": "teal"', '"answer": ""')
    (folder / "metadata.jsonl").write_text(text)
    probe = build(str(folder), tmp_path / "P", design(task="vqa"))
    assert len(probe.items) == 16
    assert {entry.reason for entry in probe.left_out} == {"no answer"}


@pytest.mark.parametrize("order", ["image-first", "question-first"])
def test_order_is_kept_for_the_runner(folder: Path, tmp_path: Path, order: str) -> None:
    assert build(str(folder), tmp_path / "P", design(order=order)).design.order == order


def test_where_in_words_asks_about_the_chosen_lines(folder: Path, tmp_path: Path) -> None:
    options = {"task": "where", "answers": "words", "lines": ["row"], "prompts": ("In which {line} is {caption}?",)}
    probe = build(str(folder), tmp_path / "P", design(**options))
    for cell in range(6):
        (question,) = probe.questions(probe.items[0], cell)
        assert question.answer == ("top", "bottom")[cell // 3]
        assert (question.kind, question.choices) == ("where_row", ("top", "bottom"))
    with pytest.raises(ConfigError, match="words for three rows"):
        design(task="where", answers="words", cols=4)


@pytest.mark.parametrize(("answers", "asked_for"), [("words", "one word, such as top"), ("letters", "the letter only")])
def test_the_question_asks_for_the_answers_that_are_read(
    folder: Path, tmp_path: Path, answers: str, asked_for: str
) -> None:
    """A model that does as it is told answers with one of the choices."""
    probe = build(str(folder), tmp_path / "P", design(task="where", answers=answers, lines=["row"]))
    (question,) = probe.questions(probe.items[0], 4)
    assert question.text.endswith(f"Text: {probe.items[0].caption}\nAnswer with {asked_for}.")
    assert question.choices == (("top", "bottom") if answers == "words" else ("A", "B"))
    assert ("lettered" in question.text) == (answers == "letters")


@pytest.mark.parametrize("task", ["where", "count"])
@pytest.mark.parametrize("kind", get_args(Kind))
def test_no_wording_asks_for_letters_where_words_are_read(task: str, kind: Kind) -> None:
    told = standard(task, kind, "words")
    assert not any(word in told for word in ("letter", "the number"))
    assert standard(task, kind) == standard(task, kind, "letters") == standard(task, kind, None)


SHAPES = [(3, 3), (4, 4), (2, 12), (1, 5)]
COUNTS = (2, 3, 4, 9, 10, 12)
NEVER: dict[Kind, tuple[str, ...]] = {  # by kind of slots: what is not asked about them
    "grid": (),
    "images": ("evidence", "point"),
    "frames": ("evidence", "point"),
    "page": ("count", "vqa", "name"),
    "scene": ("count",),
    "crop": ("count",),
    "sizes": ("where", "order", "count", "evidence", "point"),
    "aspects": ("where", "order", "count", "evidence", "point"),
}
ENDS = {  # of a question: what it asks for
    "yes or no.": "yes or no",
    "the letter only.": "letters",
    "the number only.": "numerals",
    "the word only.": "words",
    "one word.": "words",
    "one word, such as top.": "words",
    "one word, such as left.": "words",
    "one word, such as one.": "words",
    "its bounding box only.": "anything",
    "a word or a short phrase.": "anything",
}


def signs(choices: tuple[str, ...]) -> str:
    """What the choices are."""
    if choices in ((), ("yes", "no")):
        return "yes or no" if choices else "anything"
    if all(map(str.isdecimal, choices)):
        return "numerals"
    return "letters" if choices == tuple(ascii_uppercase[: len(choices)]) else "words"


def designs(task: str, kind: Kind) -> Iterator[Design]:
    """All that may be asked: with few slots and more than there are words for, with answers chosen or not."""
    shapes = [{"rows": rows, "cols": cols} for rows, cols in SHAPES]
    for slots in [{"slots": f"{kind}:{count}"} for count in COUNTS] if Slots(kind, 1, 2).line else shapes:
        for answers in (None, "letters", "words"):
            try:
                design = Design(**{"slots": kind, **slots}, task=task, answers=answers)
                check_task(design, Columns())
            except ConfigError:
                continue
            yield design


@pytest.mark.parametrize("kind", NEVER)
@pytest.mark.parametrize("task", TASKS)
def test_every_question_asks_for_what_its_answers_are(folder: Path, task: str, kind: Kind) -> None:
    """A model that does as it is told answers with one of the choices, whoever draws the pictures."""
    asked = list(designs(task, kind))
    assert bool(asked) == (task not in NEVER[kind])
    for design in asked:
        for source in (Digits(), Folder(folder, Columns(), design)):
            chosen = source.filled(design)
            item = Item(0, 0, "a cat", 0, (0,) * chosen.cells, options=("a dog", "a cat"), question="what", answer="1")
            for question in ask(item, chosen.cells - 1, chosen):
                told = f"{design!r}: {question.text!r} is read as {question.choices}"
                if not question.name:
                    end = question.text.rpartition("Answer with ")[2].rpartition("Answer ")[2]
                    assert ENDS[end] == signs(question.choices), told
                if "lettered" in question.text:
                    assert f"to {question.choices[-1]} (" in question.text, told


@pytest.mark.parametrize("placement", ["swap", "latin", "insertion"])
def test_reading_order_follows_the_canvas(folder: Path, tmp_path: Path, placement: str) -> None:
    probe = build(str(folder), tmp_path / "P", design(task="order", placement=placement))
    word = {item.caption: item.target for item in probe.items}
    partners = set()
    for item in probe.items:
        for cell in range(6):
            (question,) = probe.questions(item, cell)
            first, second = (line.partition(": ")[2] for line in question.text.splitlines()[1:3])
            assert first == item.caption
            shown = arrange(item.layout, item.home, cell, probe.design.placement)
            assert question.answer == ("yes" if shown.index(word[first]) < shown.index(word[second]) else "no")
            partners.add((shown.index(word[second]) - cell) % 6)
    assert partners == {1, 2, 3, 4, 5}


def test_counting_counts_the_targets_group(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "P", Design(items=24, task="count"))
    shown = {item.target: item.caption.split()[-1] for item in build("digits", tmp_path / "Q", Design(items=24)).items}
    numbers = Counter()
    for item in probe.items:
        (question,) = probe.questions(item, 3)
        digits = [shown.get(tile) for tile in item.layout]
        name = item.caption.split()[-1]
        assert f"How many {name} are there?" in question.text
        if None not in digits:
            assert question.answer == question.choices[digits.count(name) - 1]
        numbers[question.answer] += 1
    assert len(numbers) == 4
    assert max(numbers.values()) < 14


def test_what_cannot_be_counted_or_ordered_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="--group-column"):
        build(str(folder), tmp_path / "P", design(task="count"))
    with pytest.raises(ProbeError, match=r"no column 'nope', its columns: file_name, .*--group-column NAME"):
        build(str(folder), tmp_path / "R", design(task="count"), columns=Columns(group="nope"))
    with pytest.raises(ProbeError, match="captioned picture in every cell"):
        build(str(folder), tmp_path / "Q", design(task="order", distractors="none"))
