"""What is asked about a canvas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING

from bapa.probe.design import Design

if TYPE_CHECKING:
    from bapa.probe.store import Item

YES_NO = ("yes", "no")


@dataclass(frozen=True)
class Question:
    """One question about one canvas.

    ``question_id`` names it within its item: the kind, and the prompt's number where there are several. ``kind`` is
    ``present``, ``absent``, ``near_miss``, ``choice``, ``where_row``, ``where_col`` or ``vqa``. ``answer`` is the right
    one of ``choices``; where these are empty it is free text.
    """

    question_id: str
    kind: str
    text: str
    answer: str
    choices: tuple[str, ...]


def ask(item: Item, cell: int, design: Design) -> list[Question]:
    """All questions about the canvas of ``item`` with its key at ``cell``, kind by kind, each in every prompt."""
    questions = []
    for kind, fields, answer, choices in _kinds(item, cell, design):
        for number, prompt in enumerate(design.prompts):
            name = kind if len(design.prompts) == 1 else f"{kind}/{number}"
            questions.append(Question(name, kind, prompt.format(**fields), answer, choices))
    return questions


def _kinds(item: Item, cell: int, design: Design) -> Iterator[tuple[str, dict[str, str], str, tuple[str, ...]]]:
    if design.task == "match":
        for kind, caption in (("present", item.caption), ("absent", item.absent), ("near_miss", item.near_miss)):
            if caption is not None:
                yield kind, {"caption": caption}, "yes" if kind == "present" else "no", YES_NO
    elif design.task == "choice":
        letters = tuple(ascii_uppercase[: len(item.options)])
        options = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, item.options, strict=True))
        yield "choice", {"options": options}, letters[item.options.index(item.caption)], letters
    elif design.task == "where":
        row, col = divmod(cell, design.cols)
        for line, start, end, index, count in (
            ("row", "top", "bottom", row, design.rows),
            ("column", "left", "right", col, design.cols),
        ):
            if count > 1:
                letters = tuple(ascii_uppercase[:count])
                fields = {"caption": item.caption, "line": line, "start": start, "end": end, "last": letters[-1]}
                yield f"where_{line[:3]}", fields, letters[index], letters
    else:
        yield "vqa", {"caption": item.caption, "question": item.question}, item.answer, ()
