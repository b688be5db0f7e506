"""What a probe looks like and what it asks: everything a person can choose, with its limits."""

from __future__ import annotations

from string import Formatter
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bapa.errors import ConfigError
from bapa.probe.marks import mark
from bapa.probe.placement import Placement

Task = Literal["match", "choice", "where", "order", "count", "vqa"]
TASKS: tuple[str, ...] = get_args(Task)
Background = Literal["white", "grey", "mean", "natural"]
BACKGROUNDS: tuple[str, ...] = get_args(Background)
Distractors = Literal["source", "similar", "none"]
DISTRACTORS: tuple[str, ...] = get_args(Distractors)
Lures = Literal["cell", "canvas"]
Order = Literal["image-first", "question-first"]
ORDERS: tuple[str, ...] = get_args(Order)
Signs = Literal["letters", "words"]
Line = Literal["row", "column"]
LINES: tuple[Line, ...] = get_args(Line)

# The yes/no question is that of the probe of arXiv 2509.21984: does a sub-image match the text, answered by yes or no.
PROMPTS: dict[str, str] = {
    "match": "Does any of the sub-images in this image match the following text?\nText: {caption}\nAnswer yes or no.",
    "choice": "Which of these texts matches one of the sub-images?\n{options}\nAnswer with the letter only.",
    "where": "The sub-images form a grid. Its {line}s are lettered from A ({start}) to {last} ({end}). "
    "In which {line} is the sub-image that matches this text?\nText: {caption}\nAnswer with the letter only.",
    "order": "Read the sub-images like a page: row by row, from left to right. Does the sub-image that matches the "
    "first text come before the one that matches the second?\nFirst: {caption}\nSecond: {other}\nAnswer yes or no.",
    "count": "How many of the sub-images show this: {group}?\nAnswer with the number only.",
    "vqa": "Look at the sub-image that matches this text: {caption}\n{question}\nAnswer with a word or a short phrase.",
}
PLACES: dict[Line, tuple[str, ...]] = {"row": ("top", "middle", "bottom"), "column": ("left", "middle", "right")}
NUMBERS = ("one", "two", "three", "four")
_FIELDS: dict[str, tuple[set[str], set[str]]] = {  # by task: the fields a prompt must hold, and may hold
    "match": ({"caption"}, set()),
    "choice": ({"options"}, set()),
    "where": ({"caption", "line"}, {"start", "end", "last"}),
    "order": ({"caption", "other"}, set()),
    "count": ({"group"}, set()),
    "vqa": ({"question"}, {"caption"}),
}


class Design(BaseModel):
    """The design of a probe. ``None`` stands for what suits the source; :func:`bapa.probe.build` fills it in.

    Raises:
        ConfigError: a value outside its limits, or values that contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(3, ge=1, le=12, description="rows of cells")
    cols: int = Field(3, ge=1, le=12, description="columns of cells")
    cell: int | None = Field(None, ge=8, le=2048, description="side of a cell in pixels (digits: 24, pictures: 280)")
    background: Background | None = Field(
        None, description="what shows between the pictures (digits: grey, pictures: white)"
    )
    distractors: Distractors = Field(
        "source", description="what fills the other cells: any pictures, similar ones, or nothing"
    )
    placement: Placement = Field("swap", description="how the others make room for the target")
    task: Task = Field("match", description="what is asked")
    absent: bool = Field(True, description="match: also ask about a caption that is not on the canvas")
    near_miss: bool = Field(
        True, description="match: also ask about a caption that nearly fits the target and is not on the canvas"
    )
    lures: Lures | None = Field(
        None,
        description="match: whether the near miss is like nothing on the canvas but the target, which binds it to the "
        "target's cell, or may be like others too (default: cell; canvas with similar distractors)",
    )
    lines: tuple[Line, ...] = Field(LINES, description="where: ask about the row, the column or both")
    answers: Signs | None = Field(
        None, description="where and count: letters and numerals, or words (top middle bottom; one two three)"
    )
    choices: int = Field(4, ge=2, le=26, description="choice: number of options")
    prompts: tuple[str, ...] = Field((), description="wordings; every question is asked in each")
    order: Order = Field("image-first", description="question after or before the image")
    patch: int | None = Field(
        None, ge=1, description="cells must be a whole number of these pixels (a model's patch, merged)"
    )
    items: int | None = Field(None, ge=1, description="number of targets (digits: 240, pictures: all)")
    seed: int = Field(0, ge=0, description="seed of every draw")

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except ValidationError as error:
            raise ConfigError("; ".join(map(_sentence, error.errors()))) from None

    @model_validator(mode="after")
    def _agree(self) -> Design:
        if self.rows * self.cols < 2:
            raise ValueError("a 1 x 1 grid has no place to move to; use at least two cells")
        if self.patch and self.cell and self.cell % self.patch:
            below = self.cell - self.cell % self.patch
            near = " or ".join(str(px) for px in (below, below + self.patch) if px)
            raise ValueError(
                f"cells of {self.cell} px are not whole patches of {self.patch} px; use a cell of {near} px"
            )
        if self.answers == "words" and self.task == "where" and max(self.rows, self.cols) > len(PLACES["row"]):
            raise ValueError(
                f"there are words for three rows or columns, not for {max(self.rows, self.cols)}; use --answers letters"
            )
        if self.lures == "cell" and self.distractors == "similar":
            raise ValueError("similar distractors are like the near miss too; use --lures canvas or other distractors")
        for prompt in self.prompts:
            _check_prompt(prompt, self.task)
        return self

    @property
    def bound(self) -> bool:
        """Whether near misses are bound to the target's cell."""
        return self.task == "match" and self.near_miss and self.lures == "cell"

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.rows * self.cols

    def filled(self, **defaults: Any) -> Design:
        """The design with ``defaults`` where it says None or nothing."""
        chosen = {name: value for name, value in self.model_dump().items() if value not in (None, ())}
        return Design(**{**defaults, **chosen})


def _check_prompt(prompt: str, task: str) -> None:
    try:
        found = {name for _, name, _, _ in Formatter().parse(prompt) if name is not None}
    except ValueError as error:
        raise ValueError(f"prompt {prompt!r}: {error}; write a brace as {{{{ or }}}}") from None
    if marked := mark(prompt):
        raise ValueError(f"prompt {prompt!r}: it holds {marked}, which models do not read as text; leave it out")
    must, may = _FIELDS[task]
    if not must <= found <= must | may:
        fields = ", ".join(f"{{{name}}}" for name in sorted(must))
        optional = "".join(f", optionally {{{name}}}" for name in sorted(may))
        raise ValueError(f"prompt {prompt!r}: for the task {task!r} it must hold {fields}{optional} and no other field")


def _sentence(error: Any) -> str:
    """One of pydantic's findings in one line."""
    name = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"unknown design option {name!r}; known: {', '.join(Design.model_fields)}"
    if not name:
        return str(error["ctx"]["error"])
    return f"{name} = {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"
