"""The dose-response curve in points as a picture: what the model does as the text moves away from a shared position."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bapa.calibrate.candidates import NATIVE
from bapa.report.figures import PAPER, dress

_LINES = {  # name in the record: (what it is called, colour on light, colour on dark, mark)
    "hit": ("hits", "#1f4e8c", "#8fb8f2", "o"),
    "balanced_accuracy": ("balanced accuracy", "#0b6e5f", "#5fd0bb", "s"),
    "consistency": ("same answer in all cells", "#8a5a00", "#e3b04b", "D"),
    "range": ("range over cells", "#8e2a6b", "#e58cc4", "o"),
    "false_alarm": ("false alarms", "#b3261e", "#ff8a80", "^"),
}
_PANELS = (("hit", "balanced_accuracy"), ("range", "consistency", "false_alarm"))
_GUARDS = (("hit", "o"), ("consistency", "s"), ("range", "^"))  # whose colour a side-effect probe takes, and its mark


def draw(
    curve: Sequence[Mapping[str, Any]],
    chosen: str,
    guards: Sequence[Mapping[str, Any]],
    *,
    dark: bool,
    say: Callable[[str], str] = str,
) -> Figure:
    """Shared positions against the distance of the text, in native ones; below them the guards that tell something,
    each with what the model does natively as a dotted line: a rule that blinds stands far under it.

    ``curve``: points as :func:`bapa.calibrate.curve.points` gives them, native positions among them or not: they have
    no distance, so they are lines across. Marks grow with the items a candidate was asked about, which the key says;
    intervals stand at those that stayed to the end. ``say``: from words about cells to words about the slots.
    """
    ground, ink, soft = PAPER[dark]
    telling = [guard for guard in guards if guard["tells"] and _shared(guard)]
    ratios = (1.6, 1.2, 1.2)[: 3 if telling else 2]
    size = (7.6, 7.4 if telling else 5.4)
    figure = Figure(figsize=size, facecolor=ground, layout=ConstrainedLayoutEngine(h_pad=0.08))
    panels = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    upper, lower = panels[:2]
    shared = [point for point in curve if point["delta"] == 0 and point["candidate"] != NATIVE]
    native = next((point for point in curve if point["candidate"] == NATIVE), None)
    most = max((point["items"] for point in shared), default=0)
    for ax, names in zip((upper, lower), _PANELS, strict=True):
        dress(ax, ground, soft, grid="y")
        ax.margins(x=0.03)
        for name in names:
            title, light, glow, mark = _LINES[name]
            colour = glow if dark else light
            _points(ax, shared, name, say(title), colour, mark, most)
            if native and native[name]["value"] is not None:
                ax.axhline(100 * native[name]["value"], color=colour, lw=1.2, ls="--", zorder=1)
        pick = next((point for point in curve if point["candidate"] == chosen), None)
        if pick:
            ax.axvline(pick["distance"], color=ink, lw=1, ls=":", zorder=0)
    for guard, (like, mark) in zip(telling, cycle(_GUARDS), strict=False):
        colour, ax, rules = _LINES[like][2 if dark else 1], panels[-1], _shared(guard)
        x, y = [rule["distance"] for rule in rules], [100 * rule["hit"]["value"] for rule in rules]
        ax.plot(x, y, color=colour, lw=1, marker=mark, ms=4, label=f"side effect: {guard['probe']['task']}")
        before = next(rule for rule in guard["rules"] if rule["candidate"] == NATIVE)
        ax.axhline(100 * before["hit"]["value"], color=colour, lw=1.2, ls="--", label="the same, natively")
    if telling:
        dress(panels[-1], ground, soft, grid="y")
        panels[-1].margins(x=0.03)
        panels[-1].set(ylim=(-3, 103))
        panels[-1].set_ylabel("% right", color=soft)
    upper.set_title(f"chosen: {chosen}", color=ink, fontsize=10, loc="left", family="monospace")
    upper.set_ylabel("%", color=soft)
    lower.set_ylabel("% or points", color=soft)
    panels[-1].set_xlabel(
        "distance from the shared position to the text, in native distances (0: the paper's)", color=soft
    )
    if native:
        upper.plot([], [], color=soft, lw=1.2, ls="--", label="native positions")
    for items in sorted({point["items"] for point in shared}):
        lower.scatter([], [], s=_size(items, most), color=soft, lw=0, label=f"asked about {items} items")
    for ax in panels:
        ax.legend(frameon=False, fontsize=8, labelcolor=ink, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _shared(guard: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a side-effect probe found under shared positions, near ones first."""
    return [rule for rule in guard["rules"] if rule["delta"] == 0 and rule["candidate"] != NATIVE]


def _points(
    ax: Axes, points: Sequence[Mapping[str, Any]], name: str, title: str, colour: str, mark: str, most: int
) -> None:
    there = [point for point in points if point[name]["value"] is not None]
    if not there:  # not asked: no entry in the key either
        return
    x, y = [point["distance"] for point in there], [100 * point[name]["value"] for point in there]
    sizes = [_size(point["items"], most) for point in there]
    ax.scatter(x, y, s=sizes, color=colour, marker=mark, lw=0, zorder=3, label=title)
    for point in there:
        if point["items"] == most and point[name]["low"] is not None:
            ax.vlines(point["distance"], 100 * point[name]["low"], 100 * point[name]["high"], color=colour, lw=1.2)


def _size(items: int, most: int) -> float:
    """Area of a mark, in points squared."""
    return 6 + 42 * items / most
