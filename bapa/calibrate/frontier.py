"""Evenness against what is kept of the sense of place: every candidate of a search under a promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from bapa.calibrate.criteria import evenness
from bapa.calibrate.kept import holds
from bapa.stats import Settings, bias
from bapa.stats.intervals import Estimate

NATIVE = "native"


@dataclass(frozen=True)
class Point:
    """One candidate on the items it was asked about.

    ``range``, ``worst``, ``mean``: over cells, of the AUC; of hits where nothing absent was asked. ``even``: mean of
    :func:`~bapa.calibrate.criteria.evenness`. ``kept``: by task of a side-effect probe, the share of native's right
    answers.
    """

    candidate: str
    items: int
    range: Estimate
    worst: Estimate
    mean: Estimate
    even: float
    kept: Mapping[str, Estimate]

    @property
    def least(self) -> float:
        """The smallest share kept of any side-effect probe; 1 where there is none."""
        return min((its["value"] or 0.0 for its in self.kept.values()), default=1.0)

    def holds(self, keep: float) -> bool:
        """Whether every side-effect probe keeps ``keep``, lower bound counted."""
        return self.candidate == NATIVE or all(holds(its, keep) for its in self.kept.values())


@dataclass(frozen=True)
class Frontier:
    """What a search under a promise found. ``keep``: share of native that every side-effect probe was to keep."""

    keep: float
    points: tuple[Point, ...]

    @property
    def native(self) -> Point:
        return next(point for point in self.points if point.candidate == NATIVE)

    @property
    def held(self) -> tuple[Point, ...]:
        """The rules that keep the promise, of those that were asked about as many items as native; evenest first."""
        there = [one for one in self.points if one.candidate != NATIVE and one.items == self.native.items]
        return tuple(sorted((one for one in there if one.holds(self.keep)), key=_evenness))

    @property
    def chosen(self) -> str | None:
        """The evenest rule that keeps the promise; None where none that keeps it is evener than native positions, or
        where its worst cell is lower than theirs.
        """
        native = self.native
        better = [
            one
            for one in self.held
            if _evenness(one) < _evenness(native) and (one.worst["value"] or 0) >= (native.worst["value"] or 0)
        ]
        return better[0].candidate if better else None

    @property
    def best(self) -> tuple[Point, ...]:
        """The frontier itself: points that no other surpasses in evenness and in what it keeps, evenest first."""
        full = sorted((one for one in self.points if one.items == self.native.items), key=_evenness)
        found: list[Point] = []
        for one in full:
            if not found or one.least > found[-1].least:
                found.append(one)
        return tuple(found)

    def record(self) -> dict[str, Any]:
        """As ``calibration.json`` holds it; :func:`read` reads it back."""
        return {"keep": self.keep, "chosen": self.chosen, "points": [asdict(one) for one in self.points]}


def read(found: Mapping[str, Any]) -> Frontier:
    """The frontier of a record."""
    return Frontier(found["keep"], tuple(Point(**one) for one in found["points"]))


def names(tasks: Sequence[str]) -> list[str]:
    """What side-effect probes of these tasks are called: the task, with a number where several have it."""
    return [task if tasks.count(task) == 1 else f"{task}-{number}" for number, task in enumerate(tasks, start=1)]


def point(candidate: str, rows: pd.DataFrame, kept: Mapping[str, Estimate], cells: int, settings: Settings) -> Point:
    """The point of ``candidate`` from its answers ``rows`` to the probe whose evenness is sought."""
    overall = bias.overall(rows, cells, settings)
    name = "auc" if overall["auc"]["value"] is not None else "hit"
    span, worst = (overall[key(name)] for key in (bias.range_key, bias.worst_key))
    even = float(np.mean(evenness(rows, cells)))
    return Point(candidate, rows["item"].nunique(), span, worst, overall[name], even, kept)


def _evenness(one: Point) -> tuple[float, float]:
    """The range in whole points, nothing below zero: a few dozen items tell no finer. Among like ranges the margins
    decide, which still tell rules apart where all cells are nearly always right.
    """
    value = one.range["value"]
    return float(round(100 * max(0.0, 1.0 if value is None else value))), -one.even
