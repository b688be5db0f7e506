"""The dose-response curve as a picture: what the model does as the text moves away from a shared position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bapa.report.figures import PAPER

_LINES = {  # name in the record: (what it is called, colour on light, colour on dark, line)
    "hit": ("hits", "#1f4e8c", "#8fb8f2", "-"),
    "balanced_accuracy": ("balanced accuracy", "#0b6e5f", "#5fd0bb", "-"),
    "consistency": ("same answer in all cells", "#8a5a00", "#e3b04b", "--"),
    "range": ("range over cells", "#8e2a6b", "#e58cc4", "-"),
    "false_alarm": ("false alarms", "#b3261e", "#ff8a80", "--"),
}
_PANELS = (("hit", "balanced_accuracy"), ("range", "consistency", "false_alarm"))


def draw(curve: Sequence[Mapping[str, Any]], chosen: str, guards: Sequence[Mapping[str, Any]], *, dark: bool) -> Figure:
    """Shared positions against the distance of the text, in native ones; a guard that tells something as a thin line.

    ``curve``: points as :func:`bapa.calibrate.curve.points` gives them. Marks grow with the items a dial was asked
    about; intervals stand at those that finished the race.
    """
    ground, ink, soft = PAPER[dark]
    figure = Figure(figsize=(7.6, 5.4), facecolor=ground, layout=ConstrainedLayoutEngine(h_pad=0.08))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.6, 1.2))
    shared = [point for point in curve if point["delta"] == 0]
    for ax, names in zip((upper, lower), _PANELS, strict=True):
        _dress(ax, ground, soft)
        for name in names:
            title, light, glow, style = _LINES[name]
            _line(ax, shared, name, title, glow if dark else light, style)
        pick = next((point for point in curve if point["dial"] == chosen), None)
        if pick:
            ax.axvline(pick["distance"], color=ink, lw=1, ls=":", zorder=0)
    for guard in guards:
        rules = [rule for rule in guard["rules"] if rule["delta"] == 0 and rule["dial"] != "native"]
        if guard["tells"] and len(rules) > 2:
            x, y = [rule["distance"] for rule in rules], [100 * rule["hit"]["value"] for rule in rules]
            upper.plot(x, y, color=soft, lw=1, marker=".", label=f"guard: {guard['probe']['task']}")
    upper.set_title(f"chosen: {chosen}", color=ink, fontsize=10, loc="left", family="monospace")
    upper.set_ylabel("%", color=soft)
    lower.set_ylabel("% or points", color=soft)
    lower.set_xlabel("distance from the shared position to the text, in native distances (0: the paper's)", color=soft)
    for ax in (upper, lower):
        ax.legend(frameon=False, fontsize=8, labelcolor=ink, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _line(ax: Axes, points: Sequence[Mapping[str, Any]], name: str, title: str, colour: str, style: str) -> None:
    there = [point for point in points if point[name]["value"] is not None]
    x, y = [point["distance"] for point in there], [100 * point[name]["value"] for point in there]
    most = max((point["items"] for point in there), default=0)
    ax.plot(x, y, color=colour, ls=style, lw=1.2, alpha=0.55, label=title)
    ax.scatter(x, y, s=[4 + 32 * point["items"] / most for point in there], color=colour, lw=0, zorder=3)
    for point in there:
        if point["items"] == most and point[name]["low"] is not None:
            ax.vlines(point["distance"], 100 * point[name]["low"], 100 * point[name]["high"], color=colour, lw=1.2)


def _dress(ax: Axes, ground: str, soft: str) -> None:
    ax.set_facecolor(ground)
    ax.grid(axis="y", color=soft, alpha=0.25, lw=0.6)
    ax.tick_params(colors=soft, labelsize=8)
    ax.spines[:].set_visible(False)
    ax.margins(x=0.03)
