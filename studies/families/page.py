"""The tables of docs/families.md and docs/families-457.md, from the record.

The record, by release: ``transformers``, its full name; ``checks``; ``matrix``: family -> ``axes`` and a mark for each
check; ``native``: what the unpatched model fails already, with the reason; ``others``: families that cannot be
balanced, or that this release's tiny models leave out, with the reason; ``classifiers``: model -> its class, and a mark
for each check that asks for no written tokens.
"""

from __future__ import annotations

import re
from typing import Any

from studies.study import Blocks, Study, table

PAGES = {"5": "docs/families.md", "4.57": "docs/families-457.md"}


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of both pages."""
    return {page: of_page(record[release]) for release, page in PAGES.items()}


def of_page(found: dict[str, Any]) -> dict[str, str]:
    """The texts of one page."""
    rows = [[name, str(its["axes"]), *its["marks"]] for name, its in found["matrix"].items()]
    native = [f"- **{name}**, {check}: {reason}" for name, check, reason in found["native"]]
    others = [f"- **{name}**: " + re.sub(r"([_*<>])", r"\\\1", reason) for name, reason in found["others"].items()]
    matrix = table(["family", "axes", *found["checks"]], rows)
    texts = {
        "matrix": f"Run with transformers {found['transformers']}.\n\n{matrix}",
        "native": "\n".join(native),
        "others": "\n".join(others),
    }
    if found.get("classifiers"):
        texts["classifiers"] = "\n".join(
            f"- **{name}** ({its['model']}): {' · '.join(f'{mark} {check}' for check, mark in its['marks'].items())}"
            for name, its in found["classifiers"].items()
        )
    return texts


STUDY = Study("families", blocks)
