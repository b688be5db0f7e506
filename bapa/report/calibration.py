"""What is left on disk for people: a self-contained page, the curve as pictures and as a table."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bapa.calibrate.cost import Cost
from bapa.calibrate.curve import SHOWN
from bapa.files import replacing
from bapa.probe.slots import Slots, parse
from bapa.report import claims, figures, frontier
from bapa.report.calibration_figure import draw
from bapa.report.environment import page
from bapa.report.frontier import cost as cost
from bapa.schemes.shares import brief
from bapa.stats.quantities import spoken
from bapa.stats.text import percent, points, signed, with_interval

TITLES = spoken(SHOWN)


def write(found: Mapping[str, Any], folder: Path) -> Path:
    """Write ``calibration.html``, ``curve.csv`` and ``curve-light.svg``, ``curve-dark.svg`` into ``folder``;
    returns the page. After a search under a promise the three are called ``frontier``.

    ``found``: what ``calibration.json`` holds.
    """
    whole, found = found, _brief(found)
    pictures = {}
    name = "frontier" if "promise" in found else "curve"
    for theme in ("light", "dark"):
        dark = theme == "dark"
        if "promise" in found:
            figure = frontier.draw(found["promise"], found["chosen"], dark=dark)
        else:
            points = [*found["curve"], *found.get("native", [])]
            figure = draw(points, found["chosen"], found["guards"], dark=dark, say=_slots(found).say)
        with replacing(folder / f"{name}-{theme}.svg") as part:
            figures.save(figure, part, "svg")
        pictures[theme] = base64.b64encode((folder / f"{name}-{theme}.svg").read_bytes()).decode("ascii")
    with replacing(folder / f"{name}.csv") as part:
        part.write_text(frontier.table(whole["promise"]) if "promise" in whole else table(whole["curve"]), "utf-8")
    with replacing(folder / "calibration.html") as part:
        part.write_text(_render(found, pictures), "utf-8")
    return folder / "calibration.html"


def _brief(found: Mapping[str, Any]) -> dict[str, Any]:
    """The record with rules as pages show them; what was typed stays whole."""
    short: dict[str, Any] = json.loads(brief(json.dumps({**found, "command": None}, ensure_ascii=False)))
    return {**short, "command": found.get("command")}


def table(curve: list[Mapping[str, Any]]) -> str:
    """The points of a curve as CSV, rates as fractions."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    ends = ("value", "low", "high")
    names = ["candidate", "distance", "delta", "items", "mean", "error"]
    rows.writerow([*names, *(f"{name}_{end}".removesuffix("_value") for name in SHOWN for end in ends)])
    for point in curve:
        rows.writerow([*(point[name] for name in names), *(point[name][end] for name in SHOWN for end in ends)])
    return text.getvalue()


def sentences(found: Mapping[str, Any]) -> Iterator[str]:
    """The outcome in words drawn from the figures."""
    found = _brief(found)
    judged, chosen = found["held_out"], found["chosen"]
    items = found["config"]["probe"]["held_out"]
    promised = "promise" in found
    kept = " No rule beats native positions by a standard error." if chosen == "native" and not promised else ""
    yield f"Chosen: {chosen}.{kept}"
    if "answering" in found and not claims.speaks(found["answering"], "native"):  # an older record does not tell it
        yield f"{claims.wanted(found['answering'], 'native')}."
    if promised:
        yield from frontier.sentences(found)
    for label, its in judged.items():
        name = {"native": "Native positions", "bapa": "The paper's rule"}.get(label, label)
        name = name if label != chosen else f"{name}, the choice"
        shown = ", ".join(
            f"{TITLES[key]} {with_interval(its[key], 1)}"
            for key in ("auc", "auc_range", "hit", "false_alarm")
            if its[key]["value"] is not None
        )
        yield f"{name}: {shown}, on {items} items that had no part in it."
    if "clusters" in found and (few := claims.few(found)):  # an older record does not tell them
        yield f"{few}."
    yield from _compared(found)
    for guard in found["guards"]:
        task, chance = guard["probe"]["task"], f"chance {percent(guard['chance'])} %"
        right = {rule["candidate"]: rule["hit"] for rule in guard["rules"]}
        if guard["tells"]:
            each = (f"{rule} {with_interval(right[rule], 1, ' %')}" for rule in judged if rule in right)
            yield f"Side-effect probe {task} ({chance}): {', '.join(each)}.{_price(right['native'], right[chosen])}"
        else:
            yield f"Side-effect probe {task}: the model cannot do this natively ({chance}), so it says nothing."


def _compared(found: Mapping[str, Any]) -> Iterator[str]:
    """The choice against native, and against a mere threshold; what picking and judging items share."""
    if "against_native" not in found:  # a calibration of an older version
        return
    told = found["against_native"]
    change = f"balanced accuracy {signed(told['difference'], 1)} points against native"
    margin = points(told["margin"])
    says = {
        "better": f"On the judging items the choice is better: {change}.",
        "worse": f"On the judging items the choice is worse: {change}. Keep native positions.",
        "equivalent": f"On the judging items the choice is as good as native within {margin}: {change}.",
        "not below": f"On the judging items the choice is not below native by more than {margin}: {change}.",
        "open": f"The judging items do not tell whether the choice is below native by more than {margin}: {change}.",
    }
    if told["says"] in says:
        yield says[told["says"]]
    moved = found["thresholds"].get("native")
    if moved and found["chosen"] != "native":
        its = found["held_out"][found["chosen"]]["balanced_accuracy"]
        yield (
            "A mere threshold on native positions, refitted on the same labels, has balanced accuracy "
            f"{with_interval(moved['balanced_accuracy'], 1, ' %')}; "
            f"the choice has {with_interval(its, 1, ' %')}."
        )
    apart = found["apart"].replace("captions", "captions of targets")
    yield (
        f"Picking and judging items share no {apart.replace(' and ', ' and no ')}."
        if apart
        else "Picking and judging items share captions and pictures: the probe is too small to keep them apart."
    )


def _price(native: Mapping[str, float], its: Mapping[str, float]) -> str:
    """What the choice costs on a side-effect probe, where the intervals do not overlap."""
    if its["high"] >= native["low"]:
        return ""
    return f" The choice costs {points(native['value'] - its['value'])}."


def _slots(found: Mapping[str, Any]) -> Slots:
    """The kind of slots that were asked about; of their number nothing is on record but of those in a row."""
    kind, count = parse(found["config"]["probe"].get("slots"))
    return Slots(kind, 1, count or 1)


def _render(found: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    told = [*found["curve"], *found["held_out"].values()]
    there = {key: title for key, title in TITLES.items() if any(its[key]["value"] is not None for its in told)}
    shown = {"sentences": list(sentences(found)), "titles": there, "slots": _slots(found), "quantities": ()}
    if "promise" in found:
        shown["cost"] = cost(Cost(**found["promise"]["cost"]))
    return page("calibration.html.j2", found={"thresholds": {}, **found}, pictures=pictures, **shown)
