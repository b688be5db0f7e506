"""What ``bapa fit`` found, for the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from bapa.calibrate.words import Fit
from bapa.stats.text import percent, with_interval

_SHOWN, READS = ("right", "row"), 0.6
_CALLED = {"before": "its own before", "words": "fitted on words", "pictures": "fitted on pictures"}


def tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """Every judged rule, as read from ``fit.json``: on words, and on pictures where it was fitted on some."""
    called = {rule: _CALLED[seen] for seen, rule in found.get("fits", {"words": found["rule"]}).items()}
    yield _table("AUC of names on grids of words", found["rules"], called)
    if "pictures" in found:
        yield _table("AUC of names on pictures", found["pictures"]["rules"], called)


def _table(title: str, rules: Mapping[str, Any], called: Mapping[str, str]) -> Table:
    shown = Table(title=title, box=None, pad_edge=False, header_style="dim")
    for head in ("rule", "mean", "worst cell", "range", *(f"kept, {relation}" for relation in _SHOWN)):
        shown.add_column(head, justify="left" if head == "rule" else "right")
    for rule, its in rules.items():
        figures = [with_interval(its[name]) for name in ("mean", "worst", "range")]
        shown.add_row(called.get(rule, rule), *figures, *(_kept(its, relation) for relation in _SHOWN))
    return shown


def sentences(found: Fit) -> Iterator[str]:
    """What it says, what it does not say, and what to type next."""
    pictures = found.found.get("pictures")
    yield from _judged(found.found["rules"], found.rule, "words")
    path = shlex.quote(str(found.path))
    if pictures:
        yield from _judged(pictures["rules"], found.rule, "pictures")
        yield "These pictures are the probe's own, of names that it was not fitted on. Measure it on others:"
    else:
        yield "Words are not pictures. Measure it on pictures before you use it:"
    yield f"bapa probe PICTURES --align {path} --out probe && bapa measure {path} --probe probe --out run"


def _judged(rules: Mapping[str, Any], fitted: str, shown: str) -> Iterator[str]:
    native, its = rules["native"], rules[fitted]
    if native["mean"]["value"] < READS:
        yield (
            f"Natively it hardly tells {shown} that are there from others ({percent(native['mean']['value'])} % AUC, "
            f"chance is 50), so figures on {shown} say little about it."
        )
    if not native["range"]["low"]:
        yield f"Natively no difference between the cells can be told on {shown}, so there is nothing to even there."
    ends = [f"{percent(one['range']['value'], 1)}" for one in (native, its)]
    worst = [f"{percent(one['worst']['value'], 1)}" for one in (native, its)]
    spread = f"range {ends[0]} to {ends[1]} points of AUC, worst cell {worst[0]} to {worst[1]}"
    yield f"On grids of {shown} that it was not fitted on: {spread}."


def _kept(its: Mapping[str, Any], relation: str) -> str:
    """Of what is known natively, by form of the mention."""
    told = [form[relation]["kept"] for form in its["known"].values()]
    return " and ".join(with_interval(one, unit=" %") for one in told if one) or "–"
