"""The table of verdicts in docs/origin.md, from the record.

The record, by model and seed: ``hits``: range of the hit rate over cells and ``p`` of the permutation test;
``verdict``; ``alone``: whether no other factor carries a part, and ``opposing``: factors that work against the map;
``shares``: factor -> estimate, None where no cause was found; ``shuffled``:
in how many of how many analyses with cells shuffled a cause was found; ``followed``: in how many of how many
relabellings of the factors the shares went with their names, if there are any.
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
        shuffled = "{} of {}".format(*found["shuffled"])
        followed = "{} of {}".format(*found["followed"]) if found["shares"] else "–"
        rows.append([f"`{model}`", span, f"**{found['verdict']}**", how(found), *told, shuffled, followed])
    head = ["model and seed", "range of the hit rate over cells", "verdict", "how much of it", *FACTORS.values()]
    controls = ["causes found with cells shuffled", "shares that follow relabelled factors"]
    return {"docs/origin.md": {"verdicts": table([*head, *controls], rows)}}


def how(found: dict[str, Any]) -> str:
    """Whether the cause stands alone, and what works against it; a dash where there is none."""
    if found["alone"] is None:
        return "–"
    against = f", against it {', '.join(found['opposing'])}" if found["opposing"] else ""
    return f"{'alone' if found['alone'] else 'mostly'}{against}"


STUDY = Study("origin", blocks)
