"""The table of docs/slots.md, from the record: by kind and truth what was planted, measured and said."""

from __future__ import annotations

from typing import Any

from bapa.stats.text import percent
from studies.study import Blocks, Study, table

TRUTHS = {"steep": "uneven", "even": "even"}
HEAD = [
    "slots",
    "planted",
    "range of the AUC, points",
    "mean of the measured ones",
    "interval holds it, %",
    "called uneven, %",
    "evened by the even scheme, %",
]


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    return {"docs/slots.md": {"planted": planted(record), "sentences": sentences(record)}}


def planted(record: dict[str, Any]) -> str:
    """What was found of each planted truth."""
    rows = []
    for kind, truths in record["kinds"].items():
        for truth, found in truths.items():
            shares = (percent(found[name], 1) for name in ("true", "mean", "holds", "uneven", "evened"))
            rows.append([f"`{kind}`", TRUTHS[truth], *shares])
    runs = next(iter(record["kinds"].values()))["steep"]["runs"]
    return f"{runs} runs of each, {record['items']} items.\n\n{table(HEAD, rows)}"


def sentences(record: dict[str, Any]) -> str:
    """What the report of the first uneven run of each kind says."""
    return "\n".join(f"- `{kind}`: {truths['steep']['sentence']}" for kind, truths in record["kinds"].items())


STUDY = Study("slots", blocks)
