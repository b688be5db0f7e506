"""The same picture in every cell of a canvas: does a model see it everywhere? Yes/no questions, scored by cell."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any


def visual(doc: dict[str, Any]) -> list[Any]:
    """The canvas of a document."""
    return [doc["image"].convert("RGB")]


def results(doc: dict[str, Any], written: Sequence[str]) -> dict[str, Any]:
    """What an answer counts for. One that names neither yes nor no, or both, is wrong, no hit and no false alarm."""
    named = set(re.findall(r"\b(yes|no)\b", written[0].lower()))
    said = named.pop() if len(named) == 1 else ""
    right = {"score": float(said == doc["answer"])}
    if doc["answer"] == "no":
        return {**right, "false_alarm": float(said == "yes")}
    hit = float(said == "yes")
    return {**right, "hit": hit, "range": ((doc["row"], doc["col"]), hit)}


def spread(hits: Sequence[tuple[tuple[int, int], float]]) -> float:
    """The range of the hit rate over cells."""
    cells: dict[tuple[int, int], list[float]] = defaultdict(list)
    for cell, hit in hits:
        cells[tuple(cell)].append(hit)
    rates = [sum(each) / len(each) for each in cells.values()]
    return max(rates) - min(rates)
