"""Runs of one probe against each other: paired differences, rule by rule, over the same items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from bapa.measure import Run
from bapa.report.compare import changes
from bapa.report.view import units
from bapa.stats.bias import Settings, bias
from bapa.stats.clusters import NAMES, Cluster, clusters
from bapa.stats.quantities import OVERALL
from bapa.stats.text import interval, p_value, signed

_SHARED = ("caption", "group", "picture")  # what items may have in common, by column of the answers
_COARSE_FIRST: tuple[Cluster, ...] = ("group", "caption", "picture", "item")


@dataclass(frozen=True)
class Row:
    """One quantity under ``scheme``: that of the later run minus that of the first, over the items of both.
    ``direction``: 1 or -1 where the test, corrected as ``p`` is, finds it higher or lower; else 0.
    """

    scheme: str
    quantity: str
    size: str
    interval: str
    p: str
    direction: int = 0


@dataclass(frozen=True)
class Between:
    """``first`` and ``second``: names of runs; ``rows``: what tells them apart; ``items``: that both were asked;
    ``over``: what counts as one observation, in words.
    """

    first: str
    second: str
    items: int
    rows: list[Row]
    over: str = "items"


def between(runs: Sequence[tuple[str, Run]]) -> Iterator[Between]:
    """Every later run of the first one's probe against the first, under each rule that both have. One observation is
    what the runs count as one; where they differ, the coarser of the two.
    """
    (name, first), *others = runs
    for other, run in others:
        if run.bias["probe"]["fingerprint"] == first.bias["probe"]["fingerprint"]:
            shared = [label for label in first.bias["schemes"] if label in run.bias["schemes"]]
            answers = _joined(first, run)
            if shared and len(answers):
                over, told = _unit(answers, (name, first), (other, run))
                rows = [row for label in shared for row in _rows(label, answers, first, over)]
                if rows:
                    yield Between(name, other, answers["item"].nunique(), rows, told)


def _joined(first: Run, second: Run) -> pd.DataFrame:
    """The answers of two runs to the items that both were asked; ``run`` tells which is whose. What items have in
    common is told by either run: older ones do not say it.
    """
    one, two = first.answers(), second.answers()
    both = set(one["item"]) & set(two["item"])
    parts = [frame[frame["item"].isin(both)].assign(run=side) for side, frame in (("first", one), ("second", two))]
    joined = pd.concat(parts, ignore_index=True)
    return joined.assign(**{c: joined.groupby("item")[c].transform("first") for c in _SHARED if c in joined})


def _unit(answers: pd.DataFrame, first: tuple[str, Run], second: tuple[str, Run]) -> tuple[Cluster, str]:
    """What counts as one observation of ``answers``, and the same in words. The runs come with their names."""
    one, two = (clusters(answers, run.cluster).by for _, run in (first, second))
    over = next(name for name in _COARSE_FIRST if name in (one, two))
    counted = {"by": over, "number": clusters(answers, over).count}
    told = units({"clusters": counted, "probe": {"items": answers["item"].nunique()}})
    if one != two:
        told += f", the coarser unit: {first[0]} counts {NAMES[one][1]}, {second[0]} {NAMES[two][1]}"
    return over, told


def _rows(label: str, answers: pd.DataFrame, first: Run, over: Cluster) -> Iterator[Row]:
    """The differences under ``label``, the two runs taken as two schemes of one run; level and grid of ``first``."""
    about = first.bias["probe"]
    here = answers[answers["scheme"] == label]
    settings = Settings(level=first.bias["level"], cluster=over)
    found = bias(here.assign(scheme=here["run"]), rows=about["rows"], cols=about["cols"], settings=settings)
    told = {change.quantity: change for change in changes(found, "second") if change.cell is None}
    for quantity in OVERALL:
        change = told.get(quantity.key)
        if change is not None:
            p = "–" if change.p is None else p_value(change.p)
            size, bounds = signed(change.value, 1), interval(change.estimate, 1)
            yield Row(label, quantity.name, size, bounds, p, change.direction(settings.level))
