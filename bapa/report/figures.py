"""Heat maps as pictures of their own: one row of maps per run, one column per scheme, one colour scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import FancyBboxPatch

from bapa.report.scale import RATE
from bapa.report.view import MAPPED, Quantity, percent, rate_map

PAPER = {False: ("#ffffff", "#1b1e27", "#5a6070"), True: ("#0d1117", "#e9e6df", "#a5abb8")}  # ground, ink, soft ink
_UNIT = 0.62  # inches per cell


def heatmaps(
    runs: Sequence[tuple[str, Mapping[str, Any]]], quantity: Quantity = MAPPED[0], *, dark: bool = False
) -> Figure:
    """Maps of ``quantity`` for (name, bias) pairs. ``dark``: for a dark page."""
    ground, ink, soft = PAPER[dark]
    labels = list(dict.fromkeys(label for _, bias in runs for label in bias["schemes"]))
    rows, cols = (max(bias["probe"][axis] for _, bias in runs) for axis in ("rows", "cols"))
    size = (len(labels) * (cols * _UNIT + 0.45) + 0.3, len(runs) * (rows * _UNIT + 0.95) + 0.55)
    figure = Figure(figsize=size, facecolor=ground, layout=ConstrainedLayoutEngine(h_pad=0.12, hspace=0.06))
    axes = figure.subplots(len(runs), len(labels), squeeze=False)
    for (name, bias), line in zip(runs, axes, strict=True):
        for label, ax in zip(labels, line, strict=True):
            ax.axis("off")
            if label not in bias["schemes"]:
                continue
            _map(ax, bias, label, quantity)
            overall = bias["schemes"][label]["overall"]
            ax.set_title(label, color=ink, fontsize=9, loc="left", family="monospace")
            if ax is line[0]:
                ax.annotate(
                    name, (0, 1), (0, 24), "axes fraction", "offset points", color=ink, fontsize=12, fontweight="bold"
                )
            note = f"mean {percent(overall[quantity.key]['value'])}"
            if quantity.key == "hit":
                note += f" · range {percent(overall['range']['value'])}"
            ax.text(0, -0.04, note, transform=ax.transAxes, color=soft, fontsize=8.5, va="top")
    bar = figure.colorbar(
        mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 100), RATE.name),
        ax=axes,
        orientation="horizontal",
        shrink=0.4,
        aspect=40,
    )
    bar.set_label(f"{quantity.name.lower()}, %", color=soft, fontsize=8.5)
    bar.ax.tick_params(colors=soft, labelsize=8)
    bar.outline.set_visible(False)
    return figure


def _map(ax: Any, bias: Mapping[str, Any], label: str, quantity: Quantity) -> None:
    shown = rate_map(bias, label, quantity)
    ax.set(xlim=(0, shown.cols), ylim=(shown.rows, 0), aspect="equal")
    for cell in shown.cells:
        box = FancyBboxPatch(
            (cell.col + 0.02, cell.row + 0.02),
            0.96,
            0.96,
            boxstyle="round,pad=0,rounding_size=0.05",
            fc=cell.fill,
            ec="none",
        )
        ax.add_patch(box)
        ax.text(
            cell.col + 0.5,
            cell.row + 0.5,
            cell.text,
            color=cell.ink,
            ha="center",
            va="center_baseline",
            fontsize=12,
            fontweight="bold",
        )


def save(figure: Figure, path: Path, kind: str) -> None:
    """Write ``figure`` to ``path`` as ``kind``, png or svg; the same figure gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": "bapa"}):
        FigureCanvasAgg(figure)
        figure.savefig(path, format=kind, dpi=200, metadata={"svg": {"Date": None}, "png": {"Software": None}}[kind])
