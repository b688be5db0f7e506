"""The tables of docs/where.md, from the record.

The record, by model: ``search``, the choice under a promise with what fresh items say of it and of other rules
(``fresh``, a frontier; ``hits``, the range of their rate; ``rates``, right answers by task; ``changes`` against
native); ``maps``, the shared position in one part of the model at a time; ``rules``, every rule on models that were
skewed on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bapa.calibrate.frontier import Point, read
from bapa.stats.text import p_value, percent, signed
from studies.study import Blocks, Study, missing, table
from studies.text import bounded, share

PAGE = "docs/where.md"
TASKS = ("where", "order")
WANTED = ["places-1", *(f"places-{skew}-{seed}" for skew in ("bottom", "top", "uniform") for seed in (1, 2, 3))]
SKEWED = ["bottom-1", "top-1", "center-1"]
GOALS = ((0.25, 0.95), (0.5, 0.9))  # share of native's range at most, share of its places at least
_ALPHA = 0.05


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the pages."""
    search, maps, rules = (record.get(part, {}) for part in ("search", "maps", "rules"))
    return {
        PAGE: {
            "goal": goal(search) + missing(WANTED, list(search)),
            "search": searched(search),
            "frontier": frontier(search),
            "maps": parts(maps) + missing(WANTED[:1], list(maps)),
            "rules": every(rules) + missing(SKEWED, list(rules)),
        },
        "docs/calibration.md": {"even and knowing": headline(search)},
    }


def headline(search: Mapping[str, Any]) -> str:
    """What came out, in a paragraph for each model."""
    return "\n\n".join(_told(model, found, found["chosen"]) for model, found in search.items())


def goal(search: Mapping[str, Any]) -> str:
    """Every rule of the table against the goal: which ones meet it on fresh items, in points and with the bounds."""
    lines = []
    for model, found in search.items():
        points = {one.candidate: one for one in read(found["fresh"]).points}
        for span, keep in GOALS:
            value = [name for name in points if name != "native" and _meets(points, found, name, span, keep)]
            what = f"range at most {percent(span)} % of native's, worst cell not below it, row and order at least"
            names = ", ".join(f"`{name}`" for name in value) or "**no rule**"
            lines.append(f"- {model}, {what} {percent(keep)} % of native: {names}.")
    return "\n".join(lines)


def searched(search: Mapping[str, Any]) -> str:
    """The search: its cost, what it picked, and what the items behind say."""
    rows = []
    for model, found in search.items():
        cost, judged = found["picked"]["cost"], found["judged"]
        change = judged["change"].get("range", {}).get("difference", judged["change"].get("range"))
        kept = []
        for task in TASKS:
            rule = next(one for one in found["guards"][task]["rules"] if one["candidate"] == found["chosen"])
            kept.append(bounded(rule["kept"]))
        told = (
            ""
            if not change
            else f"{signed(change['value'], 1)} <sub>[{signed(change['low'], 1)}, {signed(change['high'], 1)}]</sub>"
        )
        rows.append(
            [
                *(
                    model,
                    str(found["picked"]["tried"]),
                    str(cost["pairs"] * cost["probes"]),
                    str(found["picked"]["held"]),
                ),
                *(f"`{found['chosen']}`", told, *kept),
            ]
        )
    head = [
        "model",
        "candidates",
        "pairs asked at most",
        "keep the promise",
        "chosen",
        "range against native, judging items",
    ]
    return table([*head, *(f"{task} kept, judging items" for task in TASKS)], rows)


def frontier(search: Mapping[str, Any]) -> str:
    """Fresh items: how even, how good, and what is left of place."""
    rows = []
    for model, found in search.items():
        for one in sorted(read(found["fresh"]).points, key=lambda point: point.range["value"] or 0):
            name = f"**`{one.candidate}`**" if one.candidate == found["chosen"] else f"`{one.candidate}`"
            rate = [bounded(found["rates"][task][one.candidate]) for task in TASKS]
            kept = [bounded(one.kept[task]) for task in TASKS]
            its = found["changes"].get(one.candidate, {}).get("auc_range")
            p = "" if its is None or its["p"] is None else p_value(its["p"])
            rows.append(
                [
                    model,
                    name,
                    bounded(one.range),
                    p,
                    bounded(found["hits"][one.candidate]),
                    share(one.even),
                    bounded(one.worst),
                    bounded(one.mean),
                    *rate,
                    *kept,
                ]
            )
    head = [
        "model",
        "rule",
        "AUC range",
        "p against native",
        "hits range",
        "margins",
        "worst cell",
        "mean AUC",
        "rows",
        "order",
    ]
    return table([*head, "rows kept", "order kept"], rows)


def parts(maps: Mapping[str, Any]) -> str:
    """The shared position in one part at a time."""
    rows = []
    for model, found in maps.items():
        for part, its in found["parts"].items():
            one = Point(**its)
            wave = _wave(part, found["waves"])
            kept = [share(one.kept[task]["value"] or 0.0) for task in TASKS]
            rows.append([model, part, wave, share(one.even), bounded(one.range), *kept])
    head = ["model", "shared in", "wavelength / image", "margins", "AUC range", "rows kept", "order kept"]
    return table(head, rows)


def every(rules: Mapping[str, Any]) -> str:
    """Every rule on models that were skewed on purpose."""
    rows = []
    for model, found in rules.items():
        for rule, its in found.items():
            told = [bounded(its[name]) for name in ("auc_range", "auc_worst_cell", "auc")]
            rows.append(
                [
                    model,
                    f"`{rule}`",
                    *told,
                    share(its["hit"]["value"]),
                    share(its["false_alarm"]["value"]),
                    f"{its['time']:.2f}",
                ]
            )
    return table(["model", "rule", "AUC range", "worst cell", "mean AUC", "hits", "false alarms", "time"], rows)


def _told(model: str, found: Mapping[str, Any], rule: str) -> str:
    points = {one.candidate: one for one in read(found["fresh"]).points}
    one, native, rates = points[rule], points["native"], found["rates"]
    places = ", ".join(
        f"{ {'where': 'rows', 'order': 'order'}[task] } {share(rates[task]['native']['value'])} to "
        f"{share(rates[task][rule]['value'])} %"
        for task in TASKS
    )
    met = [f"{percent(s)} % / {percent(k)} %" for s, k in GOALS if _meets(points, found, rule, s, k)]
    says = f"meets the goal of {met[0]} (range / places, of native)" if met else "meets neither goal"
    spans = f"{bounded(native.range)} to {bounded(one.range)}"
    lowest = f"{bounded(native.worst)} to {bounded(one.worst)}"
    hits = f"{bounded(found['hits']['native'])} to {bounded(found['hits'][rule])}"
    p = found["changes"].get(rule, {}).get("auc_range", {}).get("p")
    shown = "That it is evener is not shown by the AUC" if p is None or p >= _ALPHA else "It is evener by the AUC"
    test = "" if p is None else f" ({p_value(p)})"
    return (
        f"On {model}, `--keep {found['picked']['keep']}` picked `{rule}`. {shown}: on fresh items, native to this "
        f"rule, range {spans}{test}, worst cell {lowest}. Range of the hit rate {hits}; {places}. "
        f"By the values alone it {says}."
    )


def _meets(points: Mapping[str, Point], found: Mapping[str, Any], rule: str, span: float, keep: float) -> bool:
    one, native = points[rule], points["native"]
    even = (one.range["value"] or 0) <= span * (native.range["value"] or 0)
    worst = (one.worst["value"] or 0) >= (native.worst["value"] or 0)
    return even and worst and all((its["value"] or 0) >= keep for its in one.kept.values())


def _wave(part: str, waves: list[float]) -> str:
    return f"{waves[int(part.rpartition(' ')[2])]:.2f}" if "rotary pair" in part else ""


STUDY = Study("where", blocks)
