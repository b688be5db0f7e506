"""Keeps what finished runs of ``bapa origin`` found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bapa.origin import load_origin
from studies.origin.page import FACTORS, STUDY


def run(folders: list[Path]) -> None:
    """Keep the verdicts of the runs in FOLDERS; rows of models that are not among them stay."""
    STUDY.keep(STUDY.record() | {folder.name: row(folder) for folder in folders})


def row(folder: Path) -> dict[str, Any]:
    """What one run found."""
    found = load_origin(folder).found
    verdict, hits = found["verdict"], found["map"]["hit"]
    cause = f"{verdict['cause']}: {verdict['detail']}" if verdict["detail"] else verdict["cause"]
    named = cause not in ("none", "unknown")
    shares = found["attribution"][verdict["quantity"]]
    return {
        "hits": {"range": max(hits) - min(hits), "p": found["spread"]["hit"]["p"]},
        "verdict": cause,
        "alone": verdict["alone"] if named else None,
        "opposing": verdict["opposing"],
        "shares": {factor: shares[factor] for factor in FACTORS} if named else None,
        "shuffled": [found["control"]["attributed"], found["control"]["shuffles"]],
        "followed": [found["control"]["followed"], found["control"]["relabelled"]],
    }
