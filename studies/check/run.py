"""Keeps what finished checks decided, and checks models that have no bias."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bapa.check import Check, load_check
from bapa.report import decision
from studies.check import nulls as null
from studies.check.page import SHIPPED, STUDY


def run(folders: list[Path]) -> None:
    """Keep the decisions of the checks in FOLDERS; rows of models that are not among them stay."""
    record = STUDY.record()
    rows = {named(check.evidence.model): row(check) for check in map(load_check, folders)}
    STUDY.keep(record | {"models": record.get("models", {}) | rows})


def nulls(work: Path = Path("build/check/nulls"), count: int = 20, first: int = null.FIRST) -> None:
    """Check COUNT models without a bias, and keep what was decided. Repeated, it goes on where it was."""
    rows = [null.row(seed, null.checked(seed, work)) for seed in range(first, first + count)]
    STUDY.keep(STUDY.record() | {"nulls": {"items": null.ITEMS, "noise": null.NOISE, "rows": rows}})


def named(model: str) -> str:
    """A model as the pages call it: a folder ``.../A-1/model`` is A-1."""
    return model if model.startswith(SHIPPED) else next(part for part in Path(model).parts[::-1] if part != "model")


def row(check: Check) -> dict[str, Any]:
    """What one check decided, on what, and how long it took."""
    native = check.evidence.native
    arm = check.decision.arm if check.decision else None
    return {
        "items": check.evidence.items,
        "headline": decision.told(check.evidence, check.decision).headline if check.decision else None,
        "native": {"worst": asdict(native.worst), "range": asdict(native.range)},
        "rule": {"worst": asdict(arm.worst), "range": asdict(arm.range)} if arm else None,
        "estimate": asdict(check.estimate) if check.estimate else None,
        "took": check.took,
        "memory": check.memory,
    }
