"""The tables of docs/studies/gemma.md, from the record."""

from __future__ import annotations

from typing import Any

from studies.aligned.page import tables
from studies.study import Blocks, Study, table
from studies.words.neighbours import FORMS
from studies.words.page import by_wording, known_rows, position_rows, rules_rows


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    maps = {name: its for name, its in record.items() if name not in ("neighbours", "pictures")}
    known = record.get("neighbours", {})
    pictures = tables(record["pictures"]) if "pictures" in record else {}
    listed, in_rows = (form for _, form in FORMS)
    return {
        "docs/studies/gemma.md": {
            "rules": table(*rules_rows(maps.get("all wordings", {}).get("rules", {}))),
            "positions": table(*position_rows(maps)),
            "wordings": table(*by_wording(maps)),
            "neighbours, list": table(*known_rows(known.get(listed, {}))),
            "neighbours, row by row": table(*known_rows(known.get(in_rows, {}))),
            **{f"pictures, {name}": text for name, text in pictures.items()},
        }
    }


STUDY = Study("gemma", blocks)
