"""What ``bapa calibrate --keep`` found on a model of pretrained parts: PLAN-4.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bapa.calibrate.frontier import read
from bapa.files import read_json
from studies.study import table
from studies.text import bounded


def told(folder: Path) -> dict[str, Any]:
    """Of a calibrated ``folder``: the choice, the frontier of the search on the items that pick, and what the items
    that judge say of the rules that were judged.
    """
    found = read_json(folder / "calibration" / "calibration.json")
    promise = found["promise"]
    frontier = read(promise)
    native = next(one for one in frontier.points if one.candidate == "native")
    (rows,) = ({one["candidate"]: one for one in guard["rules"]} for guard in found["guards"])
    return {
        "chosen": found["chosen"],
        "keep": promise["keep"],
        "tasks": promise["tasks"],
        "tried": len(frontier.points),
        "held": [one.candidate for one in frontier.held],
        "picked": [asdict(one) for one in (native, *(its for its in frontier.best if its is not native))],
        "judged": {
            rule: {**its, "rows": rows[rule]["hit"], "kept": rows[rule].get("kept")}
            for rule, its in promise["judged"]["rules"].items()
        },
        "change": promise["judged"]["change"],
    }


def picked(found: Mapping[str, Any]) -> str:
    """The frontier on the items that pick, native first."""
    rows = [
        [model, f"`{one['candidate']}`", bounded(one["range"]), bounded(one["worst"]), _kept(one["kept"].get("where"))]
        for model, its in found.items()
        for one in its["picked"]
    ]
    return table(["projector", "rule", "range", "worst cell", "rows kept"], rows)


def judged(found: Mapping[str, Any]) -> str:
    """What the items that judge say."""
    rows = [
        [model, f"`{rule}`", *(bounded(one[name]) for name in ("mean", "worst", "range", "rows")), _kept(one["kept"])]
        for model, its in found.items()
        for rule, one in its["judged"].items()
    ]
    return table(["projector", "rule", "mean AUC", "worst cell", "range", "row (chance 33.3)", "rows kept"], rows)


def _kept(its: Mapping[str, Any] | None) -> str:
    return bounded(its) if its else ""
