"""The pictures of docs/studies/where.md: the frontier of fresh items, and the shared position in one part at a time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bapa.report.figures import PAPER, dress, save
from bapa.report.frontier import draw as frontier
from studies.study import ROOT
from studies.where.rules import TASKS
from studies.where.shown import wavelength

MODEL = "places-top-3"  # the most uneven of those that were searched
DRAWN = ("places-top-3-again", "top-1")  # of those that were mapped: uneven, one that knows rows and one that does not
COLOURS = {False: ("#1f4e8c", "#b3261e"), True: ("#8fb8f2", "#ff8a80")}
WORDS = {"where": "rows", "order": "order"}


def draw(record: Mapping[str, Any]) -> None:
    """Draw both into docs/assets, on light and on dark."""
    search = record.get("search", {})
    mapped = {model: record["maps"][model] for model in DRAWN if model in record.get("maps", {})}
    for theme in ("light", "dark"):
        dark = theme == "dark"
        if MODEL in search:
            _save(frontier(search[MODEL]["fresh"], search[MODEL]["chosen"], dark=dark), f"where-{theme}")
        if mapped:
            _save(parts(mapped, dark=dark), f"where-parts-{theme}")
        if "point-parts" in record:
            _save(pointing(record["point-parts"], dark=dark), f"where-pointing-{theme}")


def parts(maps: Mapping[str, Any], *, dark: bool) -> Figure:
    """A line for each part that shares the position. Panels side by side for each model: AUC range, margins, and of a
    model that was asked for rows and order what is kept of them. The band: native with its interval.
    """
    ground, ink, soft = PAPER[dark]
    panels = [(model, what) for model, found in maps.items() for what in _shown(found)]
    names = list(dict.fromkeys(part for found in maps.values() for part in found["parts"] if part != "native"))
    size = (2.2 + 2.0 * len(panels), 1.0 + 0.19 * len(names))
    figure = Figure(figsize=size, facecolor=ground, layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05))
    for (model, what), ax in zip(panels, figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], strict=True):
        dress(ax, ground, soft)
        ax.set_title(f"{model}\n{what}", color=ink, fontsize=9, loc="left")
        found = maps[model]["parts"]
        for number, values in enumerate(_quantities(what)):
            there = [values(found[name]) if name in found else None for name in names]
            _dots(ax, there, COLOURS[dark][number], number, WORDS[TASKS[number]])
            if number:  # two colours, which need telling apart; native keeps all of both
                ax.legend(fontsize=8, loc="center left", frameon=False, labelcolor=ink)
            else:
                _native(ax, values(found["native"]), soft)
    _kinds(figure, names, soft)
    waves = next(iter(maps.values()))["waves"]
    figure.axes[0].set_yticks(range(len(names)), [_label(name, waves) for name in names], fontsize=8, color=ink)
    return figure


def pointing(maps: Mapping[str, Any], *, dark: bool) -> Figure:
    """The same of models that write boxes: AUC range, and boxes in the right row and the right column."""
    ground, ink, soft = PAPER[dark]
    names = [part for part in next(iter(maps.values()))["parts"] if part != "native"]
    size = (2.2 + 4.0 * len(maps), 1.0 + 0.19 * len(names))
    figure = Figure(figsize=size, facecolor=ground, layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05))
    panels = figure.subplots(1, 2 * len(maps), sharey=True, squeeze=False)[0]
    for number, (model, found) in enumerate(maps.items()):
        told = [found["parts"][part] for part in names]
        even, placed = panels[2 * number : 2 * number + 2]
        for ax, what in ((even, "AUC range, points"), (placed, "right in boxes, %")):
            dress(ax, ground, soft)
            ax.set_title(f"{model}\n{what}", color=ink, fontsize=9, loc="left")
        _dots(even, [its["auc_range"] for its in told], COLOURS[dark][0])
        _native(even, found["parts"]["native"]["auc_range"], soft)
        for lower, (name, word) in enumerate((("row", "row"), ("col", "column"))):
            _dots(placed, [its[name] for its in told], COLOURS[dark][lower], lower, word)
        placed.axvline(100 / 3, color=soft, lw=1, ls=":")  # chance
        placed.set_xlim(-3, 103)
        placed.legend(fontsize=8, loc="center left", frameon=False, labelcolor=ink)
    _kinds(figure, names, soft)
    waves = next(iter(maps.values()))["waves"]
    figure.axes[0].set_yticks(range(len(names)), [_label(name, waves) for name in names], fontsize=8, color=ink)
    return figure


def _kinds(figure: Figure, names: Sequence[str], soft: str) -> None:
    """Lines between kinds of parts."""
    for ax in figure.axes:
        for above, (one, two) in enumerate(itertools.pairwise(names)):
            if _kind(one) != _kind(two):
                ax.axhline(above + 0.5, color=soft, lw=0.5)
        ax.set_ylim(len(names) - 0.5, -0.5)


def _shown(found: Mapping[str, Any]) -> list[str]:
    return ["AUC range, points", "margins, %", *(["kept, %"] if found["parts"]["native"]["kept"] else [])]


def _quantities(what: str) -> list[Any]:
    """What a panel draws of a part, an estimate for each colour."""
    if what.startswith("AUC"):
        return [lambda part: part["range"]]
    if what.startswith("margins"):
        return [lambda part: part["margins"]]
    return [lambda part, task=task: part["kept"][task] for task in TASKS]


def _dots(
    ax: Axes, estimates: Sequence[Mapping[str, float] | None], colour: str, number: int = 0, label: str = ""
) -> None:
    """One dot with its interval on each line; the second colour stands a little lower."""
    there = [(line + 0.3 * number, its) for line, its in enumerate(estimates) if its is not None]
    x = [100 * its["value"] for _, its in there]
    reach = [[abs(100 * its[end] - at) for at, (_, its) in zip(x, there, strict=True)] for end in ("low", "high")]
    ax.errorbar(x, [line for line, _ in there], xerr=reach, fmt="o", color=colour, elinewidth=0.8, ms=3.5, label=label)


def _native(ax: Axes, its: Mapping[str, float], soft: str) -> None:
    ax.axvline(100 * its["value"], color=soft, lw=1)
    ax.axvspan(100 * its["low"], 100 * its["high"], color=soft, alpha=0.15, lw=0)


def _kind(part: str) -> str:
    return "head" if "head" in part else part.partition(" ")[0]


def _label(part: str, waves: list[float]) -> str:
    wave = wavelength(part, waves)
    return f"{part}: {wave}x" if wave else part


def _save(figure: Figure, name: str) -> None:
    with (ROOT / "docs" / "assets" / f"{name}.svg").open("wb") as file:
        save(figure, file, "svg")
