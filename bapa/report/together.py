"""The part of a report about answer and place together: asked of a page, whether it says so and where."""

from __future__ import annotations

from bapa.measure import Run
from bapa.probe.slots import Slots
from bapa.report.figures import heatmaps
from bapa.report.parts import Part, picture
from bapa.stats.quantities import cell
from bapa.stats.text import p_value, with_interval


def part(run: Run) -> Part | None:
    """Maps of how often both were right, and a sentence for each scheme."""
    found = run.bias.get("together")
    if found is None:
        return None
    slots = Slots.of(run.bias["probe"])
    bias = {**found, "model": run.bias["model"], "probe": run.bias["probe"]}
    said = []
    for label, scheme in found["schemes"].items():
        its, test = scheme["overall"], scheme["tests"]["range"]["p"]
        sentence = f"{label}: both right {with_interval(its['hit'], 1, ' %')}, range over the {slots.words} "
        sentence += with_interval(its["range"], 1, " points")
        said.append(f"{sentence}{'' if test is None else f' ({p_value(test)})'}.")
    shown = picture(
        lambda dark: heatmaps([("", bias)], cell("hit"), dark=dark), f"Answer and place both right, by {slots.word}"
    )
    return Part("Answer and place together", [shown, *said])
