"""Heat maps as pictures of their own: one row of maps per run, one column per scheme, one colour scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import FancyBboxPatch

from bapa.report.compare import base, others
from bapa.report.scale import DIFFERENCE, RATE, Scale
from bapa.report.view import Map, difference_map, mapped, rate_map
from bapa.schemes.shares import brief
from bapa.stats.quantities import CELLS, Quantity
from bapa.stats.text import percent, signed

PAPER = {False: ("#ffffff", "#1b1e27", "#5a6070"), True: ("#0d1117", "#e9e6df", "#a5abb8")}  # ground, ink, soft ink
_UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
_UNIT = 0.62  # inches per cell
_LETTER = 0.125  # inches per letter of a name

Lines = Sequence[tuple[str, Mapping[str, tuple[Map, str]]]]  # per run: its name; per scheme a map and a note below it


def heatmaps(
    runs: Sequence[tuple[str, Mapping[str, Any]]], quantity: Quantity | None = None, *, dark: bool = False
) -> Figure:
    """Maps of ``quantity``, by default the headline one, for (name, bias) pairs. ``dark``: for a dark page."""
    quantity = quantity or _first(runs)
    lines = []
    for name, bias in runs:
        maps = {}
        for label, found in bias["schemes"].items():
            note = f"mean {percent(found['overall'][quantity.key]['value'])}"
            if span := {"auc": "auc_range", "hit": "range"}.get(quantity.key):
                note += f" · range {percent(found['overall'][span]['value'])}"
            maps[label] = (rate_map(bias, label, quantity), note)
        lines.append((name, maps))
    return _sheet(lines, RATE, f"{quantity.spoken}, %", dark)


def differences(
    runs: Sequence[tuple[str, Mapping[str, Any]]], quantity: Quantity | None = None, *, dark: bool = False
) -> Figure:
    """Maps of ``quantity`` under every scheme minus that under the base scheme, for (name, bias) pairs."""
    quantity = quantity or _first(runs)
    lines = []
    for name, bias in runs:
        start = bias["schemes"][base(bias)]["overall"][quantity.key]["value"]
        maps = {}
        for label in others(bias):
            value = bias["schemes"][label]["overall"][quantity.key]["value"]
            change = None if value is None or start is None else value - start
            maps[label] = (difference_map(bias, label, quantity), f"minus {base(bias)} · mean {signed(change)}")
        lines.append((name, maps))
    return _sheet(lines, DIFFERENCE, f"change of the {quantity.spoken}, points", dark)


def _first(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> Quantity:
    """The headline quantity that some run has; the maps of the first are empty where no run has any."""
    return next((one for _, bias in runs for one in mapped(bias)), CELLS[0])


def _sheet(lines: Lines, scale: Scale, caption: str, dark: bool) -> Figure:
    ground, ink, soft = PAPER[dark]
    labels = list(dict.fromkeys(label for _, maps in lines for label in maps))
    every = [shown for _, maps in lines for shown, _ in maps.values()]
    rows, cols = max(shown.rows * shown.tall for shown in every), max(shown.cols for shown in every)
    size = (len(labels) * (cols * _UNIT + 0.45) + 0.3, len(lines) * (rows * _UNIT + 0.95) + 0.55)
    figure = Figure(figsize=size, facecolor=ground, layout=ConstrainedLayoutEngine(h_pad=0.12, hspace=0.06))
    axes = figure.subplots(len(lines), len(labels), squeeze=False)
    for (name, maps), line in zip(lines, axes, strict=True):
        for label, ax in zip(labels, line, strict=True):
            ax.axis("off")
            if label not in maps:
                continue
            shown, note = maps[label]
            _map(ax, shown)
            ax.set_title(brief(label), color=ink, fontsize=9, loc="left", family="monospace")
            ax.text(0, -0.04, note, transform=ax.transAxes, color=soft, fontsize=8.5, va="top")
        _named(line[0], _shortened(name, size[0]), ink)
    norm = mpl.colors.Normalize(100 * scale.low, 100 * scale.high)
    bar = figure.colorbar(
        mpl.cm.ScalarMappable(norm, scale.name), ax=axes, orientation="horizontal", shrink=0.4, aspect=40
    )
    bar.set_label(caption, color=soft, fontsize=8.5)
    bar.ax.tick_params(colors=soft, labelsize=8)
    bar.outline.set_visible(False)
    return figure


def _named(ax: Any, name: str, ink: str) -> None:
    """Write ``name`` above a row of maps. The layout sees one letter of it: its height, and not its width, which would
    take the room of the maps.
    """
    for text, seen in (("M", True), (name, False)):
        ax.annotate(
            text,
            (0, 1),
            (0, 24),
            "axes fraction",
            "offset points",
            color=ink,
            alpha=0 if seen else 1,
            fontsize=12,
            fontweight="bold",
            parse_math=False,  # a dollar sign in a name is a dollar sign
        ).set_in_layout(seen)


def _shortened(name: str, width: float) -> str:
    """A name that fits ``width`` inches: of a long one, its end, where paths differ."""
    fits = max(8, int(width / _LETTER))
    return name if len(name) <= fits else f"…{name[1 - fits :]}"


def _map(ax: Any, shown: Map) -> None:
    ax.set(xlim=(0, shown.cols), ylim=(shown.rows * shown.tall, 0), aspect="equal")
    for cell in shown.cells:
        box = FancyBboxPatch(
            (cell.col + 0.02, cell.row * shown.tall + 0.02),
            0.96,
            shown.tall - 0.04,
            boxstyle="round,pad=0,rounding_size=0.05",
            fc=cell.fill,
            ec="none",
        )
        ax.add_patch(box)
        ax.text(
            cell.col + 0.5,
            (cell.row + 0.5) * shown.tall,
            cell.text,
            color=cell.ink,
            ha="center",
            va="center_baseline",
            fontsize=12,
            fontweight="bold",
        )
        if shown.slots.line:
            ax.text(cell.col + 0.1, cell.row + 0.1, shown.slots.sign(cell.col), color=cell.ink, fontsize=6.5, va="top")


def dress(ax: Axes, ground: str, soft: str, *, grid: Literal["both", "y"] = "both") -> None:
    """Quiet axes for points and curves: a faint grid, no frame."""
    ax.set_facecolor(ground)
    ax.grid(axis=grid, color=soft, alpha=0.25, lw=0.6)
    ax.tick_params(colors=soft, labelsize=8)
    ax.spines[:].set_visible(False)


def save(figure: Figure, path: Path | IO[bytes], kind: str) -> None:
    """Write ``figure`` to ``path`` as ``kind``, png, svg or pdf; the same figure gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": "bapa", "pdf.fonttype": 42}):
        FigureCanvasAgg(figure)
        figure.savefig(path, format=kind, dpi=200, metadata=_UNDATED[kind])
