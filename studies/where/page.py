"""The tables of docs/studies/where.md, from the record.

The record, by model: ``search``, the choice under a promise with what fresh items say of it and of other rules
(``fresh``, a frontier; ``hits``, the range of their rate; ``rates``, right answers by task; ``changes`` against
native); ``fit``, the same of rules with fitted shares; ``maps``, the shared position in one part of the model at a
time; ``rules``, every rule on models that were skewed on purpose; ``table``, every rule on one that knows rows;
``left``, what is left of the row in hidden states; ``tuned``, what a short tuning restores; ``point``, how models that
write boxes point, and ``point-parts``, with the shared position in one part of them at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bapa.calibrate.frontier import Point, read
from bapa.schemes import parse
from bapa.stats.text import p_value, percent, signed
from studies.study import Blocks, Study, missing, table
from studies.text import bounded, share
from studies.where import shown
from studies.where.rules import BLEND, TASKS
from studies.where.untouched import over_models

PAGE = "docs/studies/where.md"
WANTED = ["places-1", *(f"places-{skew}-{seed}" for skew in ("bottom", "top", "uniform") for seed in (1, 2, 3))]
SKEWED = ["bottom-1", "top-1", "center-1"]
GOALS = ((0.25, 0.95), (0.5, 0.9))  # share of native's range at most, share of its places at least
UNEVEN = 0.05  # AUC range natively
FITTED = "fitted, "


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the pages."""
    search, maps, rules = (record.get(part, {}) for part in ("search", "maps", "rules"))
    left, tuned = record.get("left", {}), record.get("tuned", {})
    return {
        PAGE: {
            "goal": goal(search) + missing(WANTED, list(search)),
            "search": searched(search),
            "frontier": frontier(search),
            "fit": fits(record.get("fit", {})),
            "untouched": over_models(record.get("fit", {})),
            "maps": shown.parts(maps) + missing(WANTED[:1], list(maps)),
            "together": shown.together(record.get("table", {})),
            "rules": every(rules) + missing(SKEWED, list(rules)),
            "left": remaining(left),
            "tuned": restored(tuned),
            "point": shown.pointing(record.get("point", {})),
            "point-parts": shown.pointing_parts(record.get("point-parts", {})),
        },
        "docs/calibration.md": {"even and knowing": headline(search, record.get("fit", {}))},
    }


def headline(search: Mapping[str, Any], fit: Mapping[str, Any]) -> str:
    """What came out, a row for each model, the most uneven first: native, the paper's, the choice, a fixed rule, what
    the picking items choose of fitted ones.
    """
    rows = []
    for model, found in _ordered(search):
        points = {one.candidate: one for one in read(found["fresh"]).points}
        chosen = found["chosen"]
        rows.append(
            [
                model,
                bounded(points["native"].range),
                _told(points["bapa"], found),
                f"`{chosen}`",
                "" if chosen == "native" else _told(points[chosen], found),
                _told(points[BLEND], found),
                _fitted(fit.get(model)),
            ]
        )
    head = [
        "model",
        "AUC range natively",
        "`bapa`",
        "picked by `--keep 0.9`",
        "the picked rule",
        f"`{BLEND}`",
        "`--fit`",
    ]
    return table(head, rows)


def _fitted(found: Mapping[str, Any] | None) -> str:
    if found is None or found["chosen"] == "native":
        return "" if found is None else "`native`"
    return _told(next(one for one in read(found["fresh"]).points if one.candidate == found["chosen"]), found)


def _told(one: Point, found: Mapping[str, Any]) -> str:
    """Range with its p against native, and what is kept of rows and of order."""
    its = found["changes"].get(one.candidate, {}).get("auc_range")
    p = "" if its is None or its["p"] is None else f" ({p_value(its['p'])})"
    kept = " and ".join(f"{100 * (one.kept[task]['value'] or 0.0):.0f}" for task in TASKS)
    return f"{share(one.range['value'] or 0.0)}{p}; kept {kept}"


def _ordered(search: Mapping[str, Any]) -> list[tuple[str, Any]]:
    def spread(pair: tuple[str, Any]) -> float:
        return -_native(pair[1])

    return sorted(search.items(), key=spread)


def _native(found: Mapping[str, Any]) -> float:
    return next(one.range["value"] or 0.0 for one in read(found["fresh"]).points if one.candidate == "native")


def goal(search: Mapping[str, Any]) -> str:
    """The rules of the table that meet a goal on fresh items, of each model that is uneven natively."""
    lines = []
    for model, found in _ordered(search):
        if _native(found) < UNEVEN:
            continue
        points = {one.candidate: one for one in read(found["fresh"]).points}
        for span, keep in GOALS:
            value = [name for name in points if name != "native" and _meets(points, found, name, span, keep)]
            what = f"range at most {percent(span)} % of native's, worst cell not below it, row and order at least"
            names = ", ".join(f"`{name}`" for name in value) or "**no rule**"
            lines.append(f"- {model}, {what} {percent(keep)} % of native: {names}.")
    even = [model for model, found in _ordered(search) if _native(found) < UNEVEN]
    if even:
        lines.append(
            f"- Natively nearly even, range below {percent(UNEVEN)} points, where no rule's gain can be told: "
            f"{', '.join(even)}."
        )
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


def fits(found: Mapping[str, Any]) -> str:
    """Rules with fitted shares on fresh items, each model's with native's and the paper's."""
    rows = []
    for model, its in _ordered(found):
        points = {one.candidate: one for one in read(its["fresh"]).points}
        for rule, one in points.items():
            name = f"{FITTED}`{parse(rule).name}{_distance(rule)}`" if "shares" in rule else f"`{rule}`"
            change = its["changes"].get(rule, {}).get("auc_range")
            rows.append(
                [
                    model,
                    f"**{name}**" if rule == its["chosen"] else name,
                    bounded(one.range),
                    "" if change is None or change["p"] is None else p_value(change["p"]),
                    bounded(its["hits"][rule]),
                    *(bounded(its["refitted"][rule][name]) for name in ("range", "balanced_accuracy")),
                    bounded(one.worst),
                    *(bounded(one.kept[task]) for task in TASKS),
                    _reached(points, its, rule),
                ]
            )
    head = ["model", "rule", "AUC range", "p against native", "hits range", "hits range, threshold refitted"]
    return table([*head, "balanced accuracy with it", "worst cell", "rows kept", "order kept", "goal"], rows)


def _distance(rule: str) -> str:
    return "".join(f":distance={value}" for name, value in parse(rule).options.items() if name == "distance")


def _reached(points: Mapping[str, Point], found: Mapping[str, Any], rule: str) -> str:
    """Which of the goals a rule meets on fresh items, intervals aside."""
    if rule == "native" or (points["native"].range["value"] or 0.0) < UNEVEN:
        return ""
    met = [
        f"a {word}" for word, goal in (("quarter", GOALS[0]), ("half", GOALS[1])) if _meets(points, found, rule, *goal)
    ]
    return met[0] if met else "no"


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


def remaining(left: Mapping[str, Any]) -> str:
    """What a linear probe reads of the row, layer by layer."""
    rows = []
    for model, found in left.items():
        for rule, its in found.items():
            rows.append([model, f"`{rule}`", *(share(one) for one in its["layers"]), share(its["answered"])])
    layers = max((len(its["layers"]) for found in left.values() for its in found.values()), default=0)
    return table(["model", "rule", *(f"layer {n}" for n in range(layers)), "the model's answers"], rows)


def restored(tuned: Mapping[str, Any]) -> str:
    """What a short tuning under a rule restores."""
    rows = []
    for model, found in tuned.items():
        for rule, moments in found.items():
            for moment, its in moments.items():
                told = [bounded(its[name]) for name in ("auc_range", "auc_worst_cell", "auc", "where", "order")]
                rows.append([model, f"`{rule}`", moment, *told])
    return table(["model", "rule", "200 steps", "AUC range", "worst cell", "mean AUC", "rows", "order"], rows)


def _meets(points: Mapping[str, Point], found: Mapping[str, Any], rule: str, span: float, keep: float) -> bool:
    one, native = points[rule], points["native"]
    even = (one.range["value"] or 0) <= span * (native.range["value"] or 0)
    worst = (one.worst["value"] or 0) >= (native.worst["value"] or 0)
    return even and worst and all((its["value"] or 0) >= keep for its in one.kept.values())


STUDY = Study("where", blocks)
