"""The table of verdicts in docs/origin.md, from the record.

The record, by model and seed: ``hits``: range of the hit rate over cells and ``p`` of the permutation test;
``verdict``; ``shares``: factor -> estimate, None where no cause was found; ``shuffled``: in how many of how many
analyses with cells shuffled a cause was found.
"""

from __future__ import annotations

from typing import Any

from bapa.stats.text import interval, percent
from studies.study import Blocks, Study, table

FACTORS = {"encoder": "encoder", "order": "order", "position": "position", "remainder": "not additive"}


def blocks(record: dict[str, Any]) -> Blocks:
    """The text of the page."""
    rows = []
    for model, found in record.items():
        told = ["–"] * len(FACTORS)
        if found["shares"]:
            shares = [found["shares"][factor] for factor in FACTORS]
            told = [f"{percent(its['value'])} % {interval(its)}" for its in shares]
        span = f"{percent(found['hits']['range'])} (p = {found['hits']['p']:.2g})"
        rows.append([f"`{model}`", span, f"**{found['verdict']}**", *told, "{} of {}".format(*found["shuffled"])])
    head = ["model and seed", "range of the hit rate over cells", "verdict", *FACTORS.values()]
    return {"docs/origin.md": {"verdicts": table([*head, "causes found with cells shuffled"], rows)}}


STUDY = Study("origin", blocks)
