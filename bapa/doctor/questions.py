"""What a server is asked: where a digit stands on canvases that we draw, and whether it is there at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bapa.probe import Question, digits
from bapa.probe.compose import Pixels, compose, ground
from bapa.probe.design import PLACES
from bapa.probe.questions import YES_NO

SIDE = 3  # rows and columns of a canvas
CELL = 168  # pixels: three make 504, whole patches of 14 and 28 pixels and seven times the reference models' canvas
_CAPTIONS = 4  # of one set of tiles, asked about on each of its canvases

Line = Literal["row", "column"]

_WHERE = "In which {line} is {caption}? Answer with one word: {first}, {second} or {third}."


@dataclass(frozen=True, eq=False)
class Asked:
    """One question about one canvas.

    ``canvas``: its number. ``line``: what is asked for; None for the control question, whether something is there.
    ``row`` and ``col``: where the target stands; -1 where it is absent.
    """

    canvas: int
    question: Question
    line: Line | None
    row: int
    col: int


@dataclass(frozen=True, eq=False)
class Sheet:
    """``canvases``: uint8 (height, width, 3) each. ``asked``: questions about them, in an order in which every
    beginning holds all kinds.
    """

    canvases: tuple[Pixels, ...]
    asked: tuple[Asked, ...]


def draw(sets: int, seed: int, cell: int = CELL) -> Sheet:
    """``sets`` sets of nine digits, each on three canvases, whose rows and columns are moved on by one from canvas to
    canvas, so that every target visits every row and every column once.

    ``cell``: side of a cell in pixels.
    """
    rng = np.random.default_rng((2509, seed))
    canvases: list[Pixels] = []
    asked: list[Asked] = []
    for _ in range(sets):
        captions, tiles, absent = _tiles(rng, cell)
        chosen = rng.permutation(SIDE**2)[:_CAPTIONS].tolist()
        for moved in range(SIDE):
            places = np.roll(np.arange(SIDE**2).reshape(SIDE, SIDE), (moved, moved), (0, 1)).flatten()
            blank = ground(SIDE * cell, SIDE * cell, digits.GROUND)
            canvases.append(compose(blank, [tiles[place] for place in places], SIDE, cell))
            number = len(canvases) - 1
            for tile in chosen:
                row, col = divmod(int(np.flatnonzero(places == tile)[0]), SIDE)
                asked += _about(number, captions[tile], row, col)
            asked += _control(number, captions[chosen[0]], absent)
    order = rng.permutation(len(asked)).tolist()
    return Sheet(tuple(canvases), tuple(asked[index] for index in order))


def _about(canvas: int, caption: str, row: int, col: int) -> Iterator[Asked]:
    lines: tuple[tuple[Line, int], ...] = (("row", row), ("column", col))
    for line, index in lines:
        first, second, third = words = PLACES[line]
        text = _WHERE.format(line=line, caption=caption, first=first, second=second, third=third)
        yield Asked(canvas, Question(f"where_{line}", f"where_{line[:3]}", text, words[index], words), line, row, col)


def _control(canvas: int, caption: str, absent: str) -> Iterator[Asked]:
    for kind, named, answer in (("present", caption, "yes"), ("absent", absent, "no")):
        question = Question(kind, kind, digits.QUESTION.format(caption=named), answer, YES_NO)
        yield Asked(canvas, question, None, -1, -1)


def _tiles(rng: np.random.Generator, cell: int) -> tuple[list[str], list[Pixels], str]:
    """Nine digits, each figure once, with their captions, and the caption of one that is not there."""
    figures = rng.permutation(len(digits.DIGITS)).tolist()
    names = list(digits.COLOURS)
    colours = [*rng.permutation(len(names)).tolist(), int(rng.integers(len(names)))]
    scans, labels = digits.scans("probe"), digits.labels()
    captions, tiles = [], []
    for figure, colour in zip(figures, colours, strict=False):
        scan = int(rng.choice(scans[labels[scans] == figure]))
        captions.append(digits.caption(names[colour], digits.DIGITS[figure]))
        tiles.append(digits.render(scan, names[colour], size=cell, seed=int(rng.integers(2**16))))
    return captions, tiles, digits.caption(names[int(rng.integers(len(names)))], digits.DIGITS[figures[-1]])
