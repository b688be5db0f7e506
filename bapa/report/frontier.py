"""The frontier of a search under a promise, as a picture and as sentences: evenness against what is kept of place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bapa.calibrate.cost import Cost
from bapa.calibrate.frontier import Frontier, Point, names, read
from bapa.calibrate.space import NAMED
from bapa.progress import duration
from bapa.report.figures import PAPER, dress
from bapa.stats.text import percent, signed, with_interval

# Names and where they stand, in points from the dot: the last two rules often do nearly the same.
_NAMES = {
    "native": ("native", (6, 5)),
    "bapa": ("the paper's", (6, 5)),
    "imccd": ("IMCCD's", (6, -13)),
    "cmpc": ("CMPC's", (-6, 5)),
}
_COLOURS = {False: ("#1f4e8c", "#b3261e", "#0b6e5f"), True: ("#8fb8f2", "#ff8a80", "#5fd0bb")}  # dots, line, choice


def cost(told: Cost) -> str:
    """What a search costs, in one line."""
    probes = f"{told.probes} probes, {told.pairs * told.probes} in all" if told.probes > 1 else "one probe"
    return (
        f"{told.candidates} candidates on up to {told.items} items: at most {told.pairs} pairs of item and candidate "
        f"for each of {probes}; about {duration(told.seconds)} at most on this machine"
    )


def draw(promise: Mapping[str, Any], chosen: str, *, dark: bool) -> Figure:
    """Range over cells against the share of native's right answers that the worst kept side-effect probe keeps, in per
    cent: up and to the left is better. Every candidate a dot, that grows with the items it was asked about.

    ``promise``: as ``calibration.json`` holds it; ``chosen``: the rule that was picked.
    """
    ground, ink, soft = PAPER[dark]
    dots, line, choice = _COLOURS[dark]
    found = read(promise)
    figure = Figure(figsize=(7.6, 5.0), facecolor=ground, layout=ConstrainedLayoutEngine(h_pad=0.08))
    ax = figure.subplots()
    dress(ax, ground, soft)
    ax.margins(0.06)
    shown = [one for one in found.points if one.range["value"] is not None]
    most = max(one.items for one in shown)
    ax.scatter(*_xy(shown), s=[6 + 40 * one.items / most for one in shown], color=dots, alpha=0.6, lw=0, zorder=2)
    full = [one for one in shown if one.items == found.native.items]
    ax.plot(*_edge(full), color=dots, lw=1, alpha=0.8, drawstyle="steps-post", zorder=1, label="none is better in both")
    ax.axhline(100 * found.keep, color=line, lw=1.2, ls="--", label=f"the promise: {percent(found.keep)} % kept")
    for one in shown:
        if one.candidate in NAMED:
            _name(ax, one, *_NAMES[one.candidate], ink)
        if one.candidate == chosen:
            x, y = (values[0] for values in _xy([one]))
            ax.scatter([x], [y], s=110, facecolor="none", edgecolor=choice, lw=2, zorder=3, label="the choice")
    ax.set_title(f"chosen: {chosen}", color=ink, fontsize=9, loc="left", family="monospace")
    ax.set_xlabel("range over cells, points (less is more even)", color=soft)
    ax.set_ylabel("kept of native's right answers, %", color=soft)
    ax.legend(frameon=False, fontsize=8, labelcolor=ink, loc="lower right")
    return figure


def table(promise: Mapping[str, Any]) -> str:
    """The points as CSV, shares as fractions."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    found, ends = read(promise), ("value", "low", "high")
    names = ["range", "worst", "mean", *(f"kept_{task}" for task in promise["tasks"])]
    rows.writerow(["candidate", "items", *(f"{name}_{end}".removesuffix("_value") for name in names for end in ends)])
    for one in found.points:
        told = [one.range, one.worst, one.mean, *(one.kept[task] for task in promise["tasks"])]
        rows.writerow([one.candidate, one.items, *(its[end] for its in told for end in ends)])
    return text.getvalue()


def sentences(found: Mapping[str, Any]) -> Iterator[str]:
    """What came of a promise, in words drawn from the figures. ``found``: what ``calibration.json`` holds."""
    promise = found["promise"]
    frontier, tasks = read(promise), " and ".join(promise["tasks"])
    if not promise["tasks"]:
        yield "The model can do none of the side-effect probes natively, so nothing had to be kept."
    share = f"{percent(frontier.keep)} % of native"
    if promise["chosen"] is None:
        held = len(frontier.held)
        of, keep = len(frontier.points) - 1, f"{share} on {tasks}"
        if not tasks:
            why = f"none of {of} rules is evener"
        elif held:
            why = f"{held} of {of} rules keep {keep}, and none of them is evener"
        else:
            why = f"no rule of {of} keeps {keep}"
        yield f"Native positions stay: {why}."
        yield from _next_best(frontier)
    elif promise["tasks"]:
        yield f"On the picking items it keeps at least {share} on {tasks}, the lower bound counted."
    if promise["chosen"] is not None:
        yield from _judged(found, frontier.keep)
    for candidate, why in promise["refused"].items():
        yield f"Not tried: {candidate}: {why}"


def _next_best(frontier: Frontier) -> Iterator[str]:
    """The evenest rules and what they keep, where none was chosen."""
    for one in frontier.best[:3]:
        if one.candidate != "native":
            kept = ", ".join(f"{task} {with_interval(its, 0, ' %')}" for task, its in one.kept.items())
            keeps = f", keeps {kept}" if kept else ""
            yield f"On the frontier: {one.candidate}, range {with_interval(one.range, 1)}{keeps}."


def _judged(found: Mapping[str, Any], keep: float) -> Iterator[str]:
    """The choice on items that had no part in it."""
    chosen, change = found["chosen"], found["promise"]["judged"]["change"]
    if change:
        told = ", ".join(
            f"{name} {signed(change[key]['value'], 1)} {_bounds(change[key])}"
            for key, name in (("range", "range"), ("worst", "worst cell"), ("mean", "mean"))
            if key in change
        )
        yield f"On the judging items, against native, in points: {told}."
    called = iter(names([guard["probe"]["task"] for guard in found["guards"] if not guard.get("written")]))
    for guard in found["guards"]:
        rule = next((one for one in guard["rules"] if one["candidate"] == chosen), None)
        written = guard.get("written", False)
        name = guard["probe"]["task"] if written else next(called)
        if rule is None or not (guard["tells"] if written else name in found["promise"]["tasks"]):
            continue
        where = "other items" if guard["others"] else "the items that picked it, for the probe has no others"
        low, value = rule["kept"]["low"], rule["kept"]["value"]
        says = "kept" if low is not None and low >= keep else "broken" if value < keep else "not shown to be kept"
        share = with_interval(rule["kept"], 1, " %")
        blind = " The search could not look at it: written answers have no logits." if written else ""
        yield f"{name} on {where}: {share} of native; the promise is {says}.{blind}"


def _bounds(estimate: Mapping[str, float | None]) -> str:
    low, high = (signed(estimate[end], 1) for end in ("low", "high"))
    return f"[{low}, {high}]"


def _xy(points: list[Point]) -> tuple[list[float], list[float]]:
    return [100 * (one.range["value"] or 0.0) for one in points], [100 * one.least for one in points]


def _edge(points: list[Point]) -> tuple[list[float], list[float]]:
    """Those that no other surpasses in what is drawn. The search itself counts in whole points of range, and lets the
    margins decide among like ones (:attr:`~bapa.calibrate.frontier.Frontier.best`).
    """
    edge: list[tuple[float, float]] = []
    for x, y in sorted(zip(*_xy(points), strict=True), key=lambda at: (at[0], -at[1])):
        if not edge or y > edge[-1][1]:
            edge.append((x, y))
    xs, ys = zip(*edge, strict=True)
    return list(xs), list(ys)


def _name(ax: Axes, one: Point, name: str, by: tuple[int, int], ink: str) -> None:
    (x,), (y,) = _xy([one])
    side: Any = "left" if by[0] > 0 else "right"
    ax.annotate(name, (x, y), xytext=by, textcoords="offset points", color=ink, fontsize=8.5, ha=side)
