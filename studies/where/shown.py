"""The tables of docs/studies/where.md that show parts of a model and all rules together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bapa.calibrate.frontier import Point
from bapa.stats.text import p_value
from studies.study import table
from studies.text import bounded, share
from studies.where.rules import TASKS


def parts(maps: Mapping[str, Any]) -> str:
    """The shared position in one part at a time; rows and order are blank where a model was not asked for them."""
    rows = []
    for model, found in maps.items():
        for part, its in found["parts"].items():
            one = point(its)
            even = bounded(its["margins"]) if "margins" in its else share(one.even)
            kept = [bounded(one.kept[task]) if task in one.kept else "" for task in TASKS]
            wave = wavelength(part, found["waves"])
            rows.append([model, str(one.items), part, wave, even, bounded(one.range), bounded(one.worst), *kept])
    head = ["model", "items", "shared in", "wavelength / image", "margins", "AUC range", "worst cell"]
    return table([*head, "rows kept", "order kept"], rows)


def point(part: Mapping[str, Any]) -> Point:
    """The point of a part of the record."""
    return Point(**{name: value for name, value in part.items() if name != "margins"})


def wavelength(part: str, waves: list[float]) -> str:
    """Of a rotary pair, in lengths of the image; nothing for other parts."""
    return f"{waves[int(part.rpartition(' ')[2])]:.2f}" if part.startswith("rotary pair") else ""


_POINTED = ("auc_range", "auc_worst_cell", "right", "row", "col")
_POINTS = ["AUC range", "worst cell", "points into the cell", "the row", "the column"]


def pointing(found: Mapping[str, Any]) -> str:
    """How a model that writes boxes points under each rule."""
    rows = []
    for model, rules in found.items():
        for rule, its in rules.items():
            off = [f"{its[name]['value']:+.2f}" for name in ("across", "down")]
            rows.append([model, f"`{rule}`", *_points(its), *off, share(its["missed"])])
    return table(["model", "rule", *_POINTS, "kept", "cells to the right", "cells below", "no box"], rows)


def pointing_parts(found: Mapping[str, Any]) -> str:
    """The same with the shared position in one part at a time."""
    rows = [
        [model, part, wavelength(part, its["waves"]), *_points(told), share(told["missed"])]
        for model, its in found.items()
        for part, told in its["parts"].items()
    ]
    return table(["model", "shared in", "wavelength / image", *_POINTS, "kept", "no box"], rows)


def _points(its: Mapping[str, Any]) -> list[str]:
    """Of a rule or a part: how even matches are and how it points."""
    return [*(bounded(its[name]) for name in _POINTED), bounded(its["kept"])]


def together(found: Mapping[str, Any]) -> str:
    """Every rule on a model that knows rows, and what was left out."""
    rows, left = [], []
    for model, its in found.items():
        for rule, told in its["rules"].items():
            time = told["time"]
            rows.append(
                [
                    model,
                    f"`{rule}`",
                    bounded(told["auc_range"]),
                    "" if told["p"] is None else p_value(told["p"]),
                    *(bounded(told[name]) for name in ("auc_worst_cell", "auc", "rows", "kept")),
                    f"{time['value']:.2f} <sub>[{time['low']:.2f}, {time['high']:.2f}]</sub>",
                ]
            )
        left += [f"- `{rule}`, refused by {model}: {why}." for rule, why in its["refused"].items()]
    head = ["model", "rule", "AUC range", "p against native", "worst cell", "mean AUC", "rows right", "rows kept"]
    told = table([*head, "time"], rows)
    return f"{told}\n\nNot in the table:\n\n" + "\n".join(left) if left else told
