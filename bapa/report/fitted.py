"""What ``bapa fit`` found, for the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from bapa.calibrate.words import Fit
from bapa.schemes.shares import brief
from bapa.stats.text import percent, with_interval

_SHOWN, READS = ("right", "row"), 0.6


def table(found: Mapping[str, Any]) -> Table:
    """Every judged rule, as read from ``fit.json``."""
    shown = Table(title="AUC of names on grids of words", box=None, pad_edge=False, header_style="dim")
    for title in ("rule", "mean", "worst cell", "range", *(f"kept, {relation}" for relation in _SHOWN)):
        shown.add_column(title, justify="left" if title == "rule" else "right")
    for rule, its in found["rules"].items():
        figures = [with_interval(its[name]) for name in ("mean", "worst", "range")]
        shown.add_row(brief(rule), *figures, *(_kept(its, relation) for relation in _SHOWN))
    return shown


def sentences(found: Fit) -> Iterator[str]:
    """What it says, what it does not say, and what to type next."""
    rules = found.found["rules"]
    native, fitted = rules["native"], rules[found.rule]
    if native["mean"]["value"] < READS:
        yield (
            f"Natively it hardly tells words that are there from others ({percent(native['mean']['value'])} % AUC, "
            "chance is 50), so what is fitted on words says little about it."
        )
    if not native["range"]["low"]:
        yield "Natively no difference between the cells can be told on words, so there is nothing to even there."
    ends = [f"{percent(one['range']['value'], 1)}" for one in (native, fitted)]
    worst = [f"{percent(one['worst']['value'], 1)}" for one in (native, fitted)]
    spread = f"range {ends[0]} to {ends[1]} points of AUC, worst cell {worst[0]} to {worst[1]}"
    yield f"On grids that it was not fitted on: {spread}."
    path = shlex.quote(str(found.path))
    yield "Words are not pictures. Measure it on pictures before you use it:"
    yield f"bapa probe PICTURES --align {path} --out probe && bapa measure {path} --probe probe --out run"


def _kept(its: Mapping[str, Any], relation: str) -> str:
    """Of what is known natively, by form of the mention."""
    told = [form[relation]["kept"] for form in its["known"].values()]
    return " and ".join(with_interval(one, unit=" %") for one in told if one) or "–"
