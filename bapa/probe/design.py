"""What a probe looks like and what it asks: everything a person can choose, with its limits."""

from __future__ import annotations

from string import Formatter
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bapa.errors import ConfigError
from bapa.probe.marks import mark
from bapa.probe.placement import Placement
from bapa.probe.slots import Kind, Slots, parse

Task = Literal["match", "choice", "where", "order", "count", "vqa", "evidence", "point", "name"]
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

PLACES: dict[Line, tuple[str, ...]] = {"row": ("top", "middle", "bottom"), "column": ("left", "middle", "right")}
NUMBERS = ("one", "two", "three", "four")
INDICES = (*NUMBERS, "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
SMALLEST = 8  # side of a cell, px
_ALONE = ("scene", "crop", "sizes", "aspects")  # kinds of slots that show nothing but the target
_FIELDS: dict[str, tuple[set[str], set[str]]] = {  # by task: the fields a prompt must hold, and may hold
    "match": ({"caption"}, set()),
    "evidence": ({"caption"}, set()),
    "choice": ({"options"}, set()),
    "where": ({"caption", "line"}, {"start", "end", "last"}),
    "order": ({"caption", "other"}, set()),
    "count": ({"group"}, set()),
    "vqa": ({"question"}, {"caption"}),
    "point": ({"caption"}, set()),
    "name": (set(), set()),
}


_INDEX = {"line", "start", "end", "last", "sign"}  # what a prompt may hold that asks which image or frame it is


class Design(BaseModel):
    """The design of a probe. ``None`` stands for what suits the source; :func:`bapa.probe.build` fills it in.

    Raises:
        ConfigError: a value outside its limits, or values that contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(3, ge=1, le=12, description="rows of cells")
    cols: int = Field(3, ge=1, le=12, description="columns of cells")
    slots: str | None = Field(
        None,
        description="where the target goes: grid (cells of one picture), images:8 (images of one prompt), frames:10 "
        "(stills of one clip), page (regions of a page of text), scene (places of a natural picture), crop (places of "
        "a window that moves over one), sizes:5, aspects:5 (of the target)",
    )
    cell: int | None = Field(
        None, ge=SMALLEST, le=2048, description="side of a cell in pixels (digits: 24, pictures: 280)"
    )
    background: Background | None = Field(
        None, description="what shows between the pictures (digits: grey, pictures: white)"
    )
    distractors: Distractors = Field(
        "source", description="what fills the other cells: any pictures, similar ones, or nothing"
    )
    placement: Placement = Field("swap", description="how the others make room for the target")
    task: Task = Field("match", description="what is asked")
    absent: bool = Field(True, description="match, name: also ask about a caption that is not on the canvas")
    near_miss: bool = Field(
        True,
        description="match, name: also ask about a caption that nearly fits the target and is not on the canvas",
    )
    lures: Lures | None = Field(
        None,
        description="match, name: whether the near miss is like nothing on the canvas but the target, which binds it "
        "to the target's cell, or may be like others too (default: cell; canvas with similar distractors)",
    )
    lines: tuple[Line, ...] = Field(LINES, description="where: ask about the row, the column or both")
    answers: Signs | None = Field(
        None, description="where and count: letters and numerals, or words (top middle bottom; one two three)"
    )
    choices: int = Field(4, ge=2, le=26, description="choice: number of options")
    prompts: tuple[str, ...] = Field((), description="wordings; every question is asked in each")
    opening: str | None = Field(None, description="name: what the answer begins with (There is a)")
    order: Order = Field("image-first", description="question after or before the image")
    patch: int | None = Field(
        None, ge=1, description="cells must be a whole number of these pixels (a model's patch, merged)"
    )
    items: int | None = Field(None, ge=1, description="number of targets (digits: 240, pictures: all)")
    seed: int = Field(0, ge=0, description="seed of every draw")

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**_lined(options))
        except ValidationError as error:
            raise ConfigError("; ".join(map(_sentence, error.errors()))) from None

    @model_validator(mode="after")
    def _agree(self) -> Design:
        if self.kind in _ALONE and self.distractors != "none":
            raise ValueError(f"{self._spoken} shows the target alone; leave --distractors out, or use a grid")
        if self.kind in ("page", *_ALONE) and self.task == "count":
            raise ValueError(f"nothing can be counted on {self._spoken}; use a grid or images:N")
        if self.kind == "crop" and self.background != "natural":
            raise ValueError("with crop the window moves over a natural picture; leave --background out")
        if self.places.varied and self.task in ("where", "order", "evidence", "point"):
            raise ValueError(f"with {self.slots} the target stays in its place; use match, choice or vqa")
        if self.kind == "page" and self.task == "vqa":
            raise ValueError("a page shows captions, not the pictures that questions are about; use another --slots")
        if self.task == "name" and self.kind == "page":
            raise ValueError("a page shows sentences, which have no names; use match, or another --slots")
        if self.opening is not None and self.task != "name":
            raise ValueError(
                f"the task {self.task} has no opening; give --opening where the model is asked, or use name"
            )
        if self.task == "evidence" and self.line:
            raise ValueError(f"the task evidence asks for a row and a column; with {self.slots} use match or where")
        if self.task == "point" and self.line:
            raise ValueError(f"the task point asks for a place in one picture; with {self.slots} use where")
        if self.rows * self.cols < 2:
            raise ValueError("a 1 x 1 grid has no place to move to; use at least two cells")
        if self.task in ("where", "evidence") and not self.line:
            self._check_lines()
        if self.patch and self.cell and self.cell % self.patch:
            below = self.cell - self.cell % self.patch
            near = " or ".join(str(px) for px in (below, below + self.patch) if px)
            raise ValueError(
                f"cells of {self.cell} px are not whole patches of {self.patch} px; use a cell of {near} px"
            )
        few = self.line or max(self.rows, self.cols) <= len(PLACES["row"])
        if self.answers == "words" and self.task in ("where", "evidence") and not few:
            raise ValueError(
                f"there are words for three rows or columns, not for {max(self.rows, self.cols)}; use --answers letters"
            )
        if self.lures == "cell" and self.distractors == "similar":
            raise ValueError("similar distractors are like the near miss too; use --lures canvas or other distractors")
        for prompt in self.prompts:
            _check_prompt(prompt, self.task, self.line)
        return self

    def _check_lines(self) -> None:
        """ValueError where the chosen lines have nothing to tell apart: one row, or one column."""
        several = {line for line, count in (("row", self.rows), ("column", self.cols)) if count > 1}
        if self.lines and several.isdisjoint(self.lines):
            only, other = ("row", "column") if "row" in self.lines else ("column", "row")
            raise ValueError(f"with one {only} only {other}s can be asked about: drop --line {only}")

    @property
    def _spoken(self) -> str:
        """The slots in a message."""
        return f"a picture of {self.slots}" if self.places.varied else f"a {self.kind}"

    @property
    def bound(self) -> bool:
        """Whether near misses are bound to the target's cell."""
        return self.matches and self.near_miss and self.lures == "cell"

    @property
    def matches(self) -> bool:
        """Whether it asks about what is there and what is not."""
        return self.task in ("match", "evidence", "name")

    @property
    def written(self) -> bool:
        """Whether its answers are written freely, so that no logit of one token tells them."""
        return self.task in ("vqa", "point")

    @property
    def kind(self) -> Kind:
        """The kind of slots."""
        return parse(self.slots)[0]

    @property
    def line(self) -> bool:
        """Whether the slots stand in one row."""
        return self.places.line

    @property
    def places(self) -> Slots:
        """The slots."""
        return Slots(self.kind, self.rows, self.cols)

    @property
    def tall(self) -> int:
        """Height of a cell in pixels: as much as its width; of a page, so much that nine regions have the shape of a
        sheet (ISO 216: 1 to the square root of 2).
        """
        side = self.cell or 0
        return round(side * 2**0.5) if self.kind == "page" else side

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of a canvas in pixels: all cells, or that of the one in which the target changes itself."""
        side = self.cell or 0
        return (side, side) if self.places.varied else (self.rows * self.tall, self.cols * side)

    @property
    def backdrop(self) -> tuple[int, int]:
        """Height and width of what stands behind the target, in pixels: the canvas, or all that a window of its size
        moves over.
        """
        height, width = self.canvas
        if self.kind != "crop":
            return height, width
        return height + (self.rows - 1) * self.tall, width + (self.cols - 1) * (self.cell or 0)

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.rows * self.cols

    def filled(self, **defaults: Any) -> Design:
        """The design with ``defaults`` where it says None or nothing."""
        chosen = {name: value for name, value in self.model_dump().items() if value not in (None, ())}
        return Design(**{**defaults, **chosen})

    def told(self) -> dict[str, Any]:
        """As a manifest holds it. That the slots are cells of a grid is not written, so that probes of grids are the
        same as those made before there were others; likewise of the opening.
        """
        told = self.model_dump(mode="json")
        for name in ("slots", "opening"):
            if told[name] is None:
                del told[name]
        return told


def _lined(options: dict[str, Any]) -> dict[str, Any]:
    """``options`` with rows and columns of slots that stand in one line, and what shows the target alone.

    Raises:
        ConfigError: no such slots, or rows and columns that contradict them.
    """
    given = options.get("slots")
    kind, count = parse(given if isinstance(given, str) else None)
    options = {**options, "slots": None if given == "grid" else given}
    if kind in ("scene", "crop"):
        return {"distractors": "none", "background": "natural", **options}
    if kind in _ALONE:
        options = {"distractors": "none", **options}
    if count is None:
        return options
    if (options.get("rows", 1), options.get("cols", count)) != (1, count):
        raise ConfigError(f"{given} stand in one line of {count}: drop --rows and --cols")
    return {**options, "rows": 1, "cols": count}


def _check_prompt(prompt: str, task: str, line: bool) -> None:
    try:
        fields = [field for field in Formatter().parse(prompt) if field[1] is not None]
    except ValueError as error:
        raise ValueError(f"prompt {prompt!r}: {error}; write a brace as {{{{ or }}}}") from None
    if marked := mark(prompt):
        raise ValueError(f"prompt {prompt!r}: it holds {marked}, which models do not read as text; leave it out")
    if any(spec or conversion for _, _, spec, conversion in fields):
        raise ValueError(
            f"prompt {prompt!r}: text is put in as it is; write a field as its name in braces, with no ':' or '!' in it"
        )
    found = {name for _, name, _, _ in fields}
    must, may = ({"caption"}, _INDEX) if task == "where" and line else _FIELDS[task]
    if task == "name" and found:
        raise ValueError(
            f"prompt {prompt!r}: what is asked about stands in no question of the task 'name'; drop the braces"
        )
    if not must <= found <= must | may:
        needed = ", ".join(f"{{{name}}}" for name in sorted(must))
        optional = "".join(f", optionally {{{name}}}" for name in sorted(may))
        raise ValueError(f"prompt {prompt!r}: for the task {task!r} it must hold {needed}{optional} and no other field")


def _sentence(error: Any) -> str:
    """One of pydantic's findings in one line."""
    name = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"unknown design option {name!r}; known: {', '.join(Design.model_fields)}"
    if not name:
        return str(error["ctx"]["error"])
    return f"{name} = {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"
