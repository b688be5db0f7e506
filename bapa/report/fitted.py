"""What ``bapa fit`` found, for the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from bapa.calibrate.words import Fit
from bapa.stats.text import percent, signed, with_interval

_SHOWN, READS = ("right", "row"), 0.6
_STANDS = {"right": "to the right", "row": "in the row"}
_CALLED = {"before": "its own before", "words": "fitted on words", "pictures": "fitted on pictures"}


def tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """Every judged rule, as read from ``fit.json``: on words, and on pictures where it was fitted on some."""
    called = {rule: _CALLED[seen] for seen, rule in found.get("fits", {"words": found["rule"]}).items()}
    yield _table("AUC of names on grids of words", found["rules"], called)
    if "pictures" in found:
        yield _table("AUC of names on pictures", found["pictures"]["rules"], called)
    for guard in found.get("guards", ()):
        yield _guarded(guard, called)


def _table(title: str, rules: Mapping[str, Any], called: Mapping[str, str]) -> Table:
    shown = Table(title=title, box=None, pad_edge=False, header_style="dim")
    for head in ("rule", "mean", "worst cell", "range", *(f"kept, {relation}" for relation in _SHOWN)):
        shown.add_column(head, justify="left" if head == "rule" else "right")
    for rule, its in rules.items():
        figures = [with_interval(its[name]) for name in ("mean", "worst", "range")]
        shown.add_row(called.get(rule, rule), *figures, *(_kept(its, relation) for relation in _SHOWN))
    return shown


def _guarded(guard: Mapping[str, Any], called: Mapping[str, str]) -> Table:
    """What every rule costs on a side-effect probe."""
    title = f"Right answers to {guard['probe']['task']}, on items that no fit saw"
    shown = Table(title=title, box=None, pad_edge=False, header_style="dim")
    for head in ("rule", "right", "kept of native"):
        shown.add_column(head, justify="left" if head == "rule" else "right")
    for its in guard["rules"]:
        figures = [with_interval(its[name], unit=" %") for name in ("hit", "kept")]
        shown.add_row(called.get(its["candidate"], its["candidate"]), *figures)
    return shown


def sentences(found: Fit) -> Iterator[str]:
    """What it says, what it does not say, and what to type next."""
    pictures = found.found.get("pictures")
    yield from _judged(found.found["rules"], found.rule, "words")
    path = shlex.quote(str(found.path))
    if pictures:
        yield from _judged(pictures["rules"], found.rule, "pictures")
        for guard in found.found.get("guards", ()):
            yield _cost(guard, found.rule)
        yield "These pictures are the probe's own, of names that it was not fitted on. Measure it on others:"
    else:
        yield "Words are not pictures. With a probe whose captions name single things, it goes on with pictures:"
        yield f"bapa fit {path} --probe PROBE --out FURTHER"
        yield "Measure it on pictures before you use it:"
    yield f"bapa probe PICTURES --align {path} --out probe && bapa measure {path} --probe probe --out run"


def _judged(rules: Mapping[str, Any], fitted: str, shown: str) -> Iterator[str]:
    native, its = rules["native"], rules[fitted]
    change = its["change"]
    if native["mean"]["value"] < READS:
        yield (
            f"Natively it hardly tells {shown} that are there from others ({percent(native['mean']['value'])} % AUC, "
            f"chance is 50), so figures on {shown} say little about it."
        )
    if not native["range"]["low"]:
        yield f"Natively no difference between the cells can be told on these grids of {shown}; more: --grids."
    told = [
        f"{name} {percent(native[key]['value'], 1)} to {with_interval(its[key], 1)}, change {_change(change[key])}"
        for key, name in (("range", "range over cells"), ("worst", "worst cell"))
    ]
    yield f"On grids of {shown} that it was not fitted on: {'; '.join(told)}."
    lost = [
        relation
        for relation in _SHOWN
        if any((form[relation]["kept"] or {"high": 1})["high"] < 1 for form in its["known"].values())
    ]
    if lost:
        yield f"It knows less than natively of what stands {' and '.join(_STANDS[one] for one in lost)} ({shown})."


def _cost(guard: Mapping[str, Any], rule: str) -> str:
    """What the fitted rule keeps of a side-effect probe."""
    task = guard["probe"]["task"]
    right = {its["candidate"]: its for its in guard["rules"]}
    before, after = (with_interval(right[name]["hit"], unit=" %") for name in ("native", rule))
    told = f"{task}, on items that it was not fitted on: {before} right natively, {after} under the fitted rule"
    if not guard["tells"]:
        chance = percent(guard["chance"])
        return f"{told}. By chance it is {chance} %, so natively it cannot be told that the model knows anything of it."
    return f"{told}; {with_interval(right[rule]['kept'], unit=' %')} of native's right answers are kept."


def _kept(its: Mapping[str, Any], relation: str) -> str:
    """Of what is known natively, by form of the mention; an en dash where nothing is known."""
    told = [form[relation]["kept"] for form in its["known"].values()]
    return " and ".join(with_interval(one, unit=" %") if one else "–" for one in told) if any(told) else "–"


def _change(told: Mapping[str, Any]) -> str:
    return f"{signed(told['value'], 1)} [{signed(told['low'], 1)}, {signed(told['high'], 1)}]"
