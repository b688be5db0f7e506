"""Tables about the side effects of sharing positions in docs/studies/calibration.md, from the record.

The record, by model: ``chosen`` rule; ``chance``: task -> share of right answers of the best answer that never looks;
``rules``: rule -> what it does, ``match`` with :data:`MATCHING` and an estimate for each of :data:`TASKS`; ``tuned``:
the same after tuning under the rule.
"""

from __future__ import annotations

from typing import Any

from bapa.stats.text import percent
from studies.calibration.page import against_native
from studies.study import Blocks, Study, table
from studies.text import bounded, share

MATCHING = ("hit", "false_alarm", "range")
TASKS = ("where", "order", "count")
KEPT = tuple(f"calibrated:distance=1x,delta={delta}" for delta in (0.5, 0.8, 0.9))  # how much order must stay
RIVALS = ("bapa:distance=native", "stride", "concentric", "manhattan", "pyramid", "reverse", "shuffle")
DISTANCES = ("bapa", *(f"calibrated:distance={step / 4:.4g}x" for step in range(1, 9)))
HEAD = ["match: hits", "its false alarms", "its range", "row", "order", "number"]


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    return {
        "docs/studies/calibration.md": {
            "places native": against_native(
                {name: {"chosen": its["chosen"], **its["native"]} for name, its in record.items() if "native" in its}
            ),
            "guards": rules(record),
            "guards by distance": by_distance(record),
            "guards after tuning": tuned(record),
        }
    }


def rules(record: dict[str, Any]) -> str:
    """Every rule: how well and how evenly it matches, and what it can still tell of places and numbers."""
    rows = []
    for model, found in record.items():
        rows.append([model, "*never looks*", "", "", "", *(share(found["chance"][task]) for task in TASKS)])
        for rule in dict.fromkeys(["native", "bapa", found["chosen"], *KEPT, *RIVALS]):
            name = f"**`{rule}`**" if rule == found["chosen"] else f"`{rule}`"
            rows.append([model, name, *cells(found["rules"][rule])])
    return table(["model", "rule", *HEAD], rows)


def cells(its: dict[str, Any]) -> list[str]:
    """One rule's figures in the columns of :data:`HEAD`."""
    return [share(its["match"][key]) for key in MATCHING] + [bounded(its[task]) for task in TASKS]


def by_distance(record: dict[str, Any]) -> str:
    """Shared positions at growing distances: match / row / order / number."""
    rows = []
    for model, found in record.items():
        cells = []
        for rule in DISTANCES:
            its = found["rules"][rule]
            told = [its["match"]["hit"], *(its[task]["value"] for task in TASKS)]
            cells.append(" / ".join(map(percent, told)))
        rows.append([model, *cells])
    return table(["model", *("paper" if rule == "bapa" else rule.partition("=")[2] for rule in DISTANCES)], rows)


def tuned(record: dict[str, Any]) -> str:
    """The same after tuning under a rule, run under that rule."""
    rows = [
        [model, f"`{rule}`", *cells(its)]
        for model, found in record.items()
        for rule, its in found.get("tuned", {}).items()
    ]
    return table(["model", "tuned and run under", *HEAD], rows)


STUDY = Study("side_effects", blocks)
