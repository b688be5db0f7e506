"""Runs of one probe against each other: paired differences, rule by rule, over the same items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bapa.measure import Run
from bapa.report.compare import changes
from bapa.stats.bias import Settings, bias
from bapa.stats.quantities import OVERALL
from bapa.stats.text import interval, p_value, signed


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
    """``first`` and ``second``: names of runs; ``rows``: what tells them apart; ``items``: that both were asked."""

    first: str
    second: str
    items: int
    rows: list[Row]


def between(runs: Sequence[tuple[str, Run]]) -> Iterator[Between]:
    """Every later run of the first one's probe against the first, under each rule that both have."""
    (name, first), *others = runs
    for other, run in others:
        if run.bias["probe"]["fingerprint"] == first.bias["probe"]["fingerprint"]:
            shared = [label for label in first.bias["schemes"] if label in run.bias["schemes"]]
            one, two = first.answers(), run.answers()
            both = set(one["item"]) & set(two["item"])
            rows = [row for label in shared for row in _rows(label, one, two, both, first.bias)]
            if rows:
                yield Between(name, other, len(both), rows)


def _rows(label: str, one: pd.DataFrame, two: pd.DataFrame, items: set[int], about: Mapping[str, Any]) -> Iterator[Row]:
    """The differences under ``label`` over ``items``, the two runs taken as two schemes of one run."""
    parts = [
        frame[(frame["scheme"] == label) & frame["item"].isin(items)].assign(scheme=side)
        for side, frame in (("first", one), ("second", two))
    ]
    probe = about["probe"]
    settings = Settings(level=about["level"])
    found = bias(pd.concat(parts, ignore_index=True), rows=probe["rows"], cols=probe["cols"], settings=settings)
    told = {change.quantity: change for change in changes(found, "second") if change.cell is None}
    for quantity in OVERALL:
        change = told.get(quantity.key)
        if change is not None:
            p = "–" if change.p is None else p_value(change.p)
            size, bounds = signed(change.value, 1), interval(change.estimate, 1)
            yield Row(label, quantity.name, size, bounds, p, change.direction(settings.level))
