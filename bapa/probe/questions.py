"""What is asked about a canvas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_uppercase

from bapa.probe.design import INDICES, NUMBERS, PLACES, Design, Line
from bapa.probe.item import Item
from bapa.probe.placement import arrange, partner
from bapa.probe.region import Region
from bapa.probe.wording import WHERE_IN_WORDS, standard

YES_NO = ("yes", "no")
_ARTICLE = re.compile(r"^(?:an?|the)\s+", re.I)


@dataclass(frozen=True)
class Question:
    """One question about one canvas.

    ``question_id`` names it within its item: the kind, and the prompt's number where there are several. ``kind`` is
    ``present``, ``absent``, ``lure`` (a near miss bound to the cell), ``near_miss``, ``choice``, ``where_row``,
    ``where_col``, ``where_image``, ``where_frame``, ``order``, ``count``, ``point`` or ``vqa``. ``answer``
    is the right one of ``choices``; where these are empty it is free text, or of ``point`` a region in pixels.
    ``name``: where the model is not asked for one of the ``choices`` but to say what it sees, what counts as a yes:
    that it goes on with this name rather than with what it says anyway.
    """

    question_id: str
    kind: str
    text: str
    answer: str
    choices: tuple[str, ...]
    name: str = ""

    @property
    def shown(self) -> str:
        """What a page shows: the text, and the name that is read."""
        return f"{self.text}\nName: {self.name}" if self.name else self.text


def ask(item: Item, cell: int, design: Design) -> list[Question]:
    """All questions about the canvas of ``item`` with its target at ``cell``, kind by kind, each in every prompt."""
    questions = []
    for kind, fields, answer, choices in _kinds(item, cell, design):
        # Of evidence, the wordings are those of the question by yes and no.
        own = design.task == "evidence" and kind.startswith("where")
        prompts = (_region(design),) if own else design.prompts
        for number, prompt in enumerate(prompts):
            name = kind if len(prompts) == 1 else f"{kind}/{number}"
            said = bare(fields["caption"]) if design.task == "name" else ""
            questions.append(Question(name, kind, prompt.format(**fields), answer, choices, said))
    return questions


def bare(caption: str) -> str:
    """A caption without its article and full stop."""
    return _ARTICLE.sub("", caption).rstrip(" .")


def _region(design: Design) -> str:
    """How evidence asks for the row and the column."""
    return WHERE_IN_WORDS if design.answers == "words" else standard("where", design.kind)


def _kinds(item: Item, cell: int, design: Design) -> Iterator[tuple[str, dict[str, str], str, tuple[str, ...]]]:
    if design.matches:
        near = "lure" if design.bound else "near_miss"
        for kind, caption in (("present", item.caption), ("absent", item.absent), (near, item.near_miss)):
            if caption is not None:
                yield kind, {"caption": caption}, "yes" if kind == "present" else "no", YES_NO
        if design.task == "evidence":
            yield from _where(item, cell, design)
    elif design.task == "choice":
        letters = tuple(ascii_uppercase[: len(item.options)])
        options = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, item.options, strict=True))
        yield "choice", {"options": options}, letters[item.options.index(item.caption)], letters
    elif design.task == "where":
        yield from _where(item, cell, design)
    elif design.task == "order":
        other = partner(item.item, item.home, design.cells)
        stands = arrange(range(design.cells), item.home, cell, design.placement).index(other)
        fields = {"caption": item.caption, "other": item.options[0]}
        yield "order", fields, "yes" if cell < stands else "no", YES_NO
    elif design.task == "count":
        numbers = NUMBERS if design.answers == "words" else tuple(map(str, range(1, len(NUMBERS) + 1)))
        yield "count", {"group": item.question}, numbers[int(item.answer) - 1], numbers
    elif design.task == "point":
        yield "point", {"caption": item.caption}, str(Region.of(design, cell)), ()
    else:
        yield "vqa", {"caption": item.caption, "question": item.question}, item.answer, ()


def _where(item: Item, cell: int, design: Design) -> Iterator[tuple[str, dict[str, str], str, tuple[str, ...]]]:
    if design.line:
        word, signs = design.places.word, index_signs(design)
        sign = "number" if signs[0] == "1" else "letter" if signs[0] == "A" else "word"
        fields = {"caption": item.caption, "line": word, "sign": sign, "start": signs[0], "last": signs[-1]}
        yield f"where_{word}", {**fields, "end": signs[-1]}, signs[cell], signs
        return
    row, col = divmod(cell, design.cols)
    for line, index, count in (("row", row, design.rows), ("column", col, design.cols)):
        if count > 1 and line in design.lines:
            start, *_, end = PLACES[line]
            letters = tuple(ascii_uppercase[:count])
            choices = _places(line, count) if design.answers == "words" else letters
            fields = {"caption": item.caption, "line": line, "start": start, "end": end, "last": letters[-1]}
            yield f"where_{line[:3]}", fields, choices[index], choices


def index_signs(design: Design) -> tuple[str, ...]:
    """The answers to which image or frame it is, one for each: numerals, which most tokenizers know as one token up to
    9; letters from 10 on, or where they are asked for; or words.
    """
    if design.answers == "words":
        return INDICES[: design.cols]
    if design.answers == "letters" or design.cols > len("123456789"):
        return tuple(ascii_uppercase[: design.cols])
    return tuple(map(str, range(1, design.cols + 1)))


def _places(line: Line, count: int) -> tuple[str, ...]:
    """The words for two or three lines."""
    start, middle, end = PLACES[line]
    return (start, end) if count == 2 else (start, middle, end)
