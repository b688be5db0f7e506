"""The picture of the shared position in single layers and rotary pairs: what it evens against what it loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bapa.report.figures import PAPER, dress
from studies.words.sites import LAYERS, PAIRS, wavelength

COLOURS = {False: ("#1f4e8c", "#b3261e"), True: ("#8fb8f2", "#ff8a80")}
Line = Sequence[tuple[float, Mapping[str, Any]]]  # where a part stands on the axis, and what was found


def parts(found: Mapping[str, Any], *, dark: bool) -> Figure:
    """Two columns, layers and rotary pairs; above the change of the range over cells, below what is kept of
    neighbours.
    """
    ground, ink, soft = PAPER[dark]
    figure = Figure(figsize=(9, 5.4), facecolor=ground, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    panels = figure.subplots(2, 2, sharex="col", sharey="row")
    lines: dict[str, Line] = {
        "layer, counted from 0": [(number, found[f"layer {number}"]) for number in range(LAYERS)],
        "wavelength of the rotary pair, image lengths": [
            (wavelength(part) or 0.0, found[part]) for part in (f"rotary pair {number}" for number in range(PAIRS))
        ],
    }
    one, two = COLOURS[dark]
    for column, (label, line) in enumerate(lines.items()):
        above, below = panels[:, column]
        for ax in (above, below):
            dress(ax, ground, soft)
            ax.grid(color=soft, alpha=0.25, lw=0.6)
        above.axhline(0, color=soft, lw=1)
        _draw(above, [(x, its["change"]["range"]) for x, its in line], one, "range")
        _draw(below, [(x, its["right"]["kept"]) for x, its in line], one, "right-hand neighbours")
        aside = [(x * 1.05 if column else x + 0.3, its["row"]["kept"]) for x, its in line]  # so that no dot hides one
        _draw(below, aside, two, "same row")
        below.axhline(100, color=soft, lw=1)
        below.set_xlabel(label, color=ink, fontsize=9)
        if column:
            below.set_xscale("log")
    panels[0][0].set_ylabel("change of the range, points", color=ink, fontsize=9)
    panels[1][0].set_ylabel("kept of native's, %", color=ink, fontsize=9)
    panels[1][1].legend(fontsize=8, frameon=False, labelcolor=ink, loc="lower right")
    return figure


def _draw(ax: Axes, line: Line, colour: str, label: str) -> None:
    """Dots with their intervals."""
    x, y = [at for at, _ in line], [100 * its["value"] for _, its in line]
    reach = [[abs(100 * its[end] - at) for at, (_, its) in zip(y, line, strict=True)] for end in ("low", "high")]
    ax.errorbar(x, y, yerr=reach, fmt="o", color=colour, elinewidth=0.8, ms=3.5, label=label)
