"""The page of a check: the decision first, then the maps and figures it rests on, then what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bapa
from bapa.check import Check
from bapa.check.estimate import Estimate
from bapa.files import replacing, writing
from bapa.measure import Run, load_run
from bapa.progress import duration
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
        *filter(None, [took(check)]),
    ]


def steps(check: Check) -> list[str]:
    """What to type next."""
    name, folder = shlex.quote(check.evidence.model), check.model_folder
    if folder is not None:
        where = shlex.quote(str(folder))
        return [
            f'python -c "import bapa; model = bapa.from_pretrained({str(folder)!r})"',
            f"bapa serve {where}    # whole positions only",
            *_reports(check),
        ]
    if check.decision and check.decision.reason == "no-rule-helps":
        tuned = f"bapa tune {name} --data YOUR-CHATS.jsonl"
        return [f"{tuned} --scheme native --out tuned-natively", f"{tuned} --scheme bapa --out tuned"]
    if check.decision and check.decision.reason == "no-answer":
        return [f"bapa measure {name} --probe {shlex.quote(str(check.path / 'probe'))} --generate 32 --out written"]
    return _reports(check)


def _reports(check: Check) -> list[str]:
    """Commands that write the pages that tell more."""
    pages = {"run": "all figures", "calibrated": "the search", "kept": "keeping places"}
    there = {check.path / name: what for name, what in pages.items() if (check.path / name).is_dir()}
    return [f"bapa report {shlex.quote(str(folder))}    # {what}" for folder, what in there.items()]


def estimated(estimate: Estimate) -> list[str]:
    """An estimate in lines: what surely runs, and what each further step adds where it is needed."""
    loses = "where that rule loses what positions are for"
    return [
        f"Estimated, for {estimate.items} items (memory: {gigabytes(estimate.memory)} or more):",
        f"  {duration(estimate.measure)} to see whether it is biased",
        f"  {duration(estimate.origin)} more where it is: the cause",
        f"  {duration(estimate.calibrate)} more where a rule may help: which, and what it costs",
        f"  up to {duration(estimate.keep)} more {loses}: the search for another"
        if estimate.keep
        else f"  {loses}, no search for another: it does not fit the budget",
    ]


def took(check: Check) -> str | None:
    """What a check took, beside what was estimated of the same steps; None where a command was killed within one."""
    if not check.took or check.estimate is None or check.memory is None:
        return None
    seconds = sum(check.took.values())
    said = duration(check.estimate.of(check.took))
    return f"Took {duration(seconds)} (estimated: {said}), memory at the peak {gigabytes(check.memory)}."


def gigabytes(memory: int) -> str:
    """Bytes as gigabytes."""
    return f"{memory / 1e9:.1f} GB"


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
        "took": took(check),
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
