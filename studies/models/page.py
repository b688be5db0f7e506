"""The table of docs/models.md, from the record and from that of the families.

The record: ``transformers``, its version; ``models``: name -> what :class:`bapa.checkpoints.catalog.Told` holds.
"""

from __future__ import annotations

from typing import Any

from bapa.checkpoints.catalog import Told
from bapa.report.catalog import cells, heads
from studies.families.page import STUDY as FAMILIES
from studies.study import Blocks, Study, table

PAGE = "docs/models.md"


def blocks(record: dict[str, Any]) -> Blocks:
    """The text of the page."""
    matrix = FAMILIES.record()["5"]["matrix"]
    rows = []
    for its in record["models"].values():
        told = Told(**{**its, "tokens": tuple(its["tokens"])})
        marks = matrix.get(told.family, {"marks": []})["marks"]
        held = f"{marks.count('✓')} of {len(marks)}" if marks else ""
        rows.append([*(text.replace("_", "\\_") for text in cells(told)), held])
    text = table([*heads(), "checks of the family"], rows)
    return {PAGE: {"models": f"Read by transformers {record['transformers']}.\n\n{text}"}}


STUDY = Study("models", blocks)
