"""Keeps what finished checks decided."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bapa.check import Check, load_check
from bapa.report import decision
from studies.check.page import STUDY


def run(folders: list[Path]) -> None:
    """Keep the decisions of the checks in FOLDERS; rows of models that are not among them stay."""
    STUDY.keep(STUDY.record() | {check.evidence.model: row(check) for check in map(load_check, folders)})


def row(check: Check) -> dict[str, Any]:
    """What one check decided, and on what."""
    native = check.evidence.native
    arm = check.decision.arm if check.decision else None
    return {
        "items": check.evidence.items,
        "headline": decision.told(check.evidence, check.decision).headline if check.decision else None,
        "native": {"worst": asdict(native.worst), "range": asdict(native.range)},
        "rule": {"worst": asdict(arm.worst), "range": asdict(arm.range)} if arm else None,
    }
