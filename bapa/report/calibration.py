"""What is left on disk for people: a self-contained page, the curve as pictures and as a table."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bapa.calibrate.curve import SHOWN
from bapa.files import replacing
from bapa.report import figures
from bapa.report.calibration_figure import draw
from bapa.report.environment import page
from bapa.stats.quantities import spoken
from bapa.stats.text import percent, with_interval

TITLES = spoken(SHOWN)


def write(found: Mapping[str, Any], folder: Path) -> Path:
    """Write ``calibration.html``, ``curve.csv`` and ``curve-light.svg``, ``curve-dark.svg`` into ``folder``;
    returns the page.

    ``found``: what ``calibration.json`` holds.
    """
    pictures = {}
    for theme in ("light", "dark"):
        with replacing(folder / f"curve-{theme}.svg") as part:
            figures.save(draw(found["curve"], found["chosen"], found["guards"], dark=theme == "dark"), part, "svg")
        pictures[theme] = base64.b64encode((folder / f"curve-{theme}.svg").read_bytes()).decode("ascii")
    with replacing(folder / "curve.csv") as part:
        part.write_text(table(found["curve"]), "utf-8")
    with replacing(folder / "calibration.html") as part:
        part.write_text(_render(found, pictures), "utf-8")
    return folder / "calibration.html"


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
    judged, chosen = found["held_out"], found["chosen"]
    items = found["config"]["probe"]["held_out"]
    yield f"Chosen: {chosen}."
    for label, its in judged.items():
        name = {"native": "Native positions", "bapa": "The paper's rule"}.get(label, label)
        name = name if label != chosen else f"{name}, the choice"
        hit, spread = with_interval(its["hit"], 1, " %"), percent(its["range"]["value"], 1)
        yield (
            f"{name}: mean hit rate {hit}, range {spread} points, "
            f"false alarms {percent(its['false_alarm']['value'], 1)} %, on {items} items that had no part in it."
        )
    for guard in found["guards"]:
        task, chance = guard["probe"]["task"], f"chance {percent(guard['chance'])} %"
        right = {rule["candidate"]: rule["hit"] for rule in guard["rules"]}
        if guard["tells"]:
            each = (f"{rule} {with_interval(right[rule], 1, ' %')}" for rule in judged)
            yield f"Guard {task} ({chance}): {', '.join(each)}.{_price(right['native'], right[chosen])}"
        else:
            yield f"Guard {task}: the model cannot do this natively ({chance}), so it tells nothing."


def _price(native: Mapping[str, float], its: Mapping[str, float]) -> str:
    """What the choice takes from a guard, where the intervals lie apart."""
    if its["high"] >= native["low"]:
        return ""
    return f" The choice costs {percent(native['value'] - its['value'])} points of it."


def _render(found: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    shown = {"sentences": list(sentences(found)), "titles": TITLES, "quantities": ()}
    return page("calibration.html.j2", found=found, pictures=pictures, **shown)
