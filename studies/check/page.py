"""The table of decisions in docs/check.md, from the record: by model, the headline and the AUC it rests on."""

from __future__ import annotations

from typing import Any

from bapa.stats.text import with_interval
from studies.study import Blocks, Study, table


def blocks(record: dict[str, Any]) -> Blocks:
    """The text of the page."""
    rows = []
    for model, found in record.items():
        native, rule = found["native"], found["rule"]
        after = [with_interval(rule[name], 1) if rule else "–" for name in ("worst", "range")]
        before = [with_interval(native[name], 1) for name in ("worst", "range")]
        rows.append([f"`{model}`", f"**{found['headline']}**", str(found["items"]), *before, *after])
    head = ["model", "decision", "items", "worst cell, native", "range, native", "worst cell, rule", "range, rule"]
    return {"docs/check.md": {"check": table(head, rows)}}


STUDY = Study("check", blocks)
