"""From a server's answers to a verdict on its image positions.

Two kinds of evidence. *Where the answers point*: on each line, what the server says is compared with the place of the
target, with that place moved on, turned round, and with the place on the other line. A canvas visits every row and
column equally often, so that a server that always says the same points nowhere. *Whom the answers are like*: those of
transformers with right positions, and with positions that are wrong in known ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from bapa.doctor.questions import SIDE, Asked, Line
from bapa.probe.design import LINES, PLACES

Kind = Literal["in use", "ignored", "shared", "shifted", "swapped", "wrong", "cannot be told"]
Shares = NDArray[np.float64]

_LEAST = 18  # read answers on a line, fewer of which say nothing
_FOLLOWS = 0.6  # share of answers from which on they follow a place
_RARE = 1e-4  # how rarely chance may look like that
LIKE = 0.1  # mean distance up to which two answer alike; quantised weights move answers by less
_BLIND = "it does not see what is on the pictures"
_SIDES = 1e-3  # of a sign test: which of two the answers are nearer to

# What an answer may point at, given row and column of the target: place on the line asked about, place on the other.
_MAPS = {
    "the target": lambda here, other: here,
    "the next line": lambda here, other: (here + 1) % SIDE,
    "the line before": lambda here, other: (here - 1) % SIDE,
    "the opposite side": lambda here, other: SIDE - 1 - here,
    "the place on the other line": lambda here, other: other,
}
_MEANS: dict[str, Kind] = {  # the others mean shifted
    "the target": "in use",
    "the place on the other line": "swapped",
}


@dataclass(frozen=True)
class Pointing:
    """Where the answers on one line point. ``at``: one of the places above; None for none of them. ``agree``: how many
    of ``read`` answers name it; of the target itself where ``at`` is None. ``unread``: answers that name no place on
    this line. They point nowhere: what is left of answers that name the other line's places, its middle alone, would
    seem to follow that line.
    """

    line: Line
    at: str | None
    agree: int
    read: int
    unread: int


@dataclass(frozen=True)
class Likeness:
    """How far the answers are from those of transformers, 0 to 1. ``says``: with which positions. ``distance``: mean
    over questions. ``same``: questions with the same likeliest answer, of ``questions``.
    """

    says: str
    kind: Kind
    distance: float
    same: int
    questions: int


@dataclass(frozen=True)
class Verdict:
    """``kind`` and the evidence: ``pointing`` by line, ``seen`` of ``controls`` questions whether something is there
    answered rightly, ``likeness`` to transformers, native first (empty without it). ``why``: of what cannot be told,
    and where what is wrong may lie before the positions.
    """

    kind: Kind
    pointing: tuple[Pointing, ...]
    seen: int
    controls: int
    likeness: tuple[Likeness, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Compared:
    """Answers of transformers with positions that are right (``kind`` in use) or wrong. ``shares``: (questions, 3)."""

    says: str
    kind: Kind
    shares: Shares


def said(shares: Shares) -> NDArray[np.int64]:
    """The likeliest answer to each question, -1 where none was read (a row of nan)."""
    read = ~np.isnan(shares).any(1)
    return np.where(read, np.nan_to_num(shares).argmax(1), -1)


def pointing(asked: Sequence[Asked], answers: NDArray[np.int64], line: Line) -> Pointing:
    """Where the answers on ``line`` point. ``answers``: index of the choice of every question, -1 where unread."""
    mine = [(one, int(answer)) for one, answer in zip(asked, answers, strict=True) if one.line == line]
    read = [(one, answer) for one, answer in mine if answer >= 0]
    here = np.array([one.row if line == "row" else one.col for one, _ in read], int)
    other = np.array([one.col if line == "row" else one.row for one, _ in read], int)
    given = np.array([answer for _, answer in read], int)
    agree = {name: int((place(here, other) == given).sum()) for name, place in _MAPS.items()}
    best = max(agree, key=agree.__getitem__)
    n = len(read)
    follows = (
        n >= _LEAST
        and agree[best] >= _FOLLOWS * len(mine)
        and binomtest(agree[best], n, 1 / SIDE, alternative="greater").pvalue < _RARE
    )
    return Pointing(line, best if follows else None, agree[best if follows else "the target"], n, len(mine) - n)


def likeness(shares: Shares, other: Compared) -> tuple[Likeness, NDArray[np.float64]]:
    """How like the answers are, and the distance of each question that was read."""
    read = ~np.isnan(shares).any(1)
    ours, theirs = shares[read], other.shares[: len(shares)][read]
    worded = (ours == 1).any(1, keepdims=True)  # a word without probabilities is compared with a word
    far = np.abs(ours - np.where(worded, theirs == theirs.max(1, keepdims=True), theirs)).sum(1) / 2
    same = int((said(ours) == said(theirs)).sum())
    return Likeness(other.says, other.kind, float(far.mean()) if len(far) else 1.0, same, len(far)), far


def judge(
    asked: Sequence[Asked], shares: Shares, native: Compared | None = None, faults: Sequence[Compared] = ()
) -> Verdict:
    """The verdict on a server's answers.

    ``shares``: float64 (questions, 3), probability of each choice, or 1 for the one that was written; nan where nothing
    was read. ``native``: answers of transformers to the same questions with the model's own positions. ``faults``: with
    wrong ones.
    """
    answers = said(shares)
    points = tuple(pointing(asked, answers, line) for line in LINES)
    controls = [(one, answer) for one, answer in zip(asked, answers, strict=True) if one.line is None]
    seen = sum(answer >= 0 and one.question.choices[answer] == one.question.answer for one, answer in controls)

    def told(kind: Kind, like: Sequence[Likeness] = (), why: str = "") -> Verdict:
        return Verdict(kind, points, seen, len(controls), tuple(like), why)

    outside = _outside(points)
    if native is None:
        if outside:
            return told(outside)
        return told("cannot be told", why=_unknown(points, seen, len(controls)))
    own, far = likeness(shares, native)
    if not own.questions:
        return told("cannot be told", why="no answer could be read")
    knows = any(pointing(asked, said(native.shares[: len(shares)]), line).at == "the target" for line in LINES)
    others = [likeness(shares, fault) for fault in faults]
    like = [own, *(one for one, _ in others)]
    if own.distance <= LIKE and (knows or _nearer(far, [other for _, other in others])):
        return told("in use", like)
    nearest = min(others, key=lambda one: one[0].distance, default=None)
    if nearest and nearest[0].distance <= min(LIKE, own.distance / 2) and _nearer(nearest[1], [far]):
        return told(nearest[0].kind, like)
    if outside:
        return told(outside, like)
    if not knows:
        return told("cannot be told", like, "transformers does not tell places with this model either")
    return told("wrong", like, _BLIND if _blind(seen, len(controls)) else "")


def _outside(points: Sequence[Pointing]) -> Kind | None:
    """What the answers say without a comparison: anything but the target on either line goes before it."""
    kinds: list[Kind] = [_MEANS.get(point.at, "shifted") for point in points if point.at]
    return next((kind for kind in kinds if kind != "in use"), kinds[0] if kinds else None)


def _nearer(far: NDArray[np.float64], others: Sequence[NDArray[np.float64]]) -> bool:
    """Whether distances ``far`` are smaller than each of ``others``, by a sign test over questions that differ."""
    for other in others:
        differ = np.abs(far - other) > 1e-6
        less = int((far < other)[differ].sum())
        if not differ.any() or binomtest(less, int(differ.sum()), alternative="greater").pvalue >= _SIDES:
            return False
    return bool(others)


def _blind(seen: int, controls: int) -> bool:
    return controls > 0 and seen <= controls * 0.6


def _unknown(points: Sequence[Pointing], seen: int, controls: int) -> str:
    if all(point.read < _LEAST or point.unread > point.read for point in points):
        names = ", ".join(dict.fromkeys(word for line in LINES for word in PLACES[line]))
        return (
            f"too few answers name a place ({names}): this model does not tell places, or its answers are cut off; "
            "if they are, let it write more: --tokens 256"
        )
    if _blind(seen, controls):
        return _BLIND
    return "the answers do not follow the place: positions are shared or ignored, or this model does not tell places"
