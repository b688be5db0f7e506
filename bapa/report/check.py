"""The page of a check: the decision first, then the maps and figures it rests on, then what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bapa
from bapa.check import Check
from bapa.files import replacing, writing
from bapa.inference.progress import duration
from bapa.measure import Run, load_run
from bapa.report import decision, view
from bapa.report import environment as templates
from bapa.report.scale import RATE
from bapa.stats.quantities import CELLS

WORDS = {"leave": "Leave it", "balance": "Balance it", "tune": "Tune it", "untold": "Cannot be told"}
PAGE = "check.html"


def lines(check: Check) -> list[str]:
    """The decision for a terminal: headline, figures, costs, what would change it."""
    if check.decision is None:
        return [f"Stopped before a decision; the same command goes on: {check.path}"]
    told = decision.told(check.evidence, check.decision)
    return [
        told.headline,
        *told.because,
        *(f"Costs: {cost}" for cost in told.costs),
        *(f"What would change this: {change}" for change in told.change),
    ]


def steps(check: Check) -> list[str]:
    """What to type next."""
    name, folder = shlex.quote(check.evidence.model), check.model_folder
    if folder is not None:
        where = shlex.quote(str(folder))
        return [
            f'python -c "import bapa; model = bapa.from_pretrained({str(folder)!r})"',
            f"bapa serve {where}    # vLLM takes rules whose positions are whole numbers",
            f"bapa report {shlex.quote(str(check.path / 'run'))}",
        ]
    if check.decision and check.decision.kind == "tune":
        return [f"bapa tune {name} --data YOUR-CHATS.jsonl --scheme bapa --out tuned"]
    if check.decision and check.decision.reason == "no-answer":
        return [f"bapa measure {name} --probe {shlex.quote(str(check.path / 'probe'))} --generate 32 --out written"]
    return [f"bapa report {shlex.quote(str(check.path / 'run'))}"] if (check.path / "run").is_dir() else []


def estimated(seconds: float, memory: int) -> str:
    """An estimate in words."""
    return f"{duration(seconds)}, {memory / 1e9:.1f} GB"


def write(checks: Sequence[Check], page: Path) -> Path:
    """Write the page over ``checks`` and return where it is.

    Raises RunError where it cannot be written.
    """
    html = templates.page(
        "check.html.j2",
        checks=[_shown(check, page.parent) for check in checks],
        rate_scale=RATE,
        quantities=[],
        version=bapa.__version__,
    )
    with writing(page):
        page.parent.mkdir(parents=True, exist_ok=True)
        with replacing(page) as part:
            part.write_text(html, "utf-8")
    return page


def _shown(check: Check, beside: Path) -> dict[str, Any]:
    made = check.decision
    run = load_run(check.path / "run") if (check.path / "run" / "run.json").is_file() else None
    return {
        "model": check.evidence.model,
        "kind": made.kind if made else "untold",
        "word": WORDS[made.kind] if made else "Not finished",
        "told": decision.told(check.evidence, made) if made else decision.Told("Stopped before a decision."),
        "maps": _maps(check, run) if run else [],
        "arms": [(arm, arm.label == (made.rule if made else None)) for arm in check.evidence.arms],
        "steps": steps(check),
        "items": check.evidence.items,
        "links": _links(check, beside),
        "estimate": check.estimate,
    }


def _maps(check: Check, run: Run) -> list[tuple[str, view.Map]]:
    """Native and the rule that the decision is about, else the paper's."""
    auc = next(quantity for quantity in CELLS if quantity.key == "auc")
    arm = check.decision.arm if check.decision else None
    labels = ["native", arm.label if arm else "bapa"]
    return [(label, view.rate_map(run.bias, label, auc)) for label in labels if label in run.bias["schemes"]]


def _links(check: Check, beside: Path) -> list[tuple[str, str]]:
    """Pages that tell more, by title, as seen from the folder of this one."""
    there = {
        "All figures": check.path / "run" / "report.html",
        "The search for the rule": check.path / "calibrated" / "calibration" / "calibration.html",
        "The search for a rule that keeps places": check.path / "kept" / "calibration" / "calibration.html",
    }
    found = []
    for title, file in there.items():
        if file.is_file() and file.resolve().is_relative_to(beside.resolve()):
            found.append((title, file.resolve().relative_to(beside.resolve()).as_posix()))
    return found
