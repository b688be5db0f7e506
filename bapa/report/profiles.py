"""The rules as a list, as a table and as pictures: how far each patch of a grid stands from the first text token."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bapa.errors import SchemeError
from bapa.layout import Grid
from bapa.report.figures import PAPER
from bapa.schemes import COMMON, Profile, Row, Scheme, profile, ptd

_COLUMNS = 5
_LAYERS = 32  # a rule with positions of its own per layer is shown at its first layer of so many


@dataclass(frozen=True)
class Shown:
    """One scheme on a grid: its distance profile and per-token distance (with eight text tokens on three axes)."""

    scheme: Scheme
    profile: Profile
    ptd: float


def shown(schemes: list[Scheme], grid: Grid) -> Iterator[Shown]:
    """The schemes that are defined on ``grid``; degenerate grids have no circle, say."""
    for scheme in schemes:
        first = scheme.at_layer(0, _LAYERS)
        try:
            yield Shown(scheme, profile(first, grid), ptd(first, grid))
        except SchemeError:
            continue


def listing(rows: Sequence[Row]) -> RenderableType:
    """The schemes with their rules, own options and papers, for the terminal."""
    table = Table("scheme", "rule", "from", box=None, pad_edge=False, header_style="dim")
    for row in rows:
        options = "".join(f"\n  {o.name}={o.default}" for o in row.own)
        table.add_row(f"[bold]{row.name}[/]{escape(options)}", escape(row.summary), escape(row.paper))
    common = "\n".join(
        (
            "\nWrite options as bapa:distance=native. Every scheme also takes:",
            *(f"  {option.name}={option.default}: {option.accepts}" for option in COMMON.values()),
        )
    )
    return Group(table, Text(common, style="dim"))


def distances(lines: Sequence[Shown], grid: str) -> RenderableType:
    """The distances of the schemes on a ``grid`` (its name, ``24x24``), for the terminal."""
    table = Table("scheme", box=None, pad_edge=False, header_style="dim")
    for title in ("mean", "sd", "max", "PTD"):
        table.add_column(title, justify="right")
    for line in lines:
        found = (line.profile.mean, line.profile.sd, line.profile.max, line.ptd)
        table.add_row(line.scheme.label, *(f"{value:.3f}" for value in found))
    note = f"\nDistance of the {grid} patches to the first text token, in positions."
    return Group(table, Text(note, style="dim"))


def draw(lines: list[Shown], *, dark: bool = False) -> Figure:
    """One map per scheme, all on one scale, with its bar: dark patches are near to the text, light ones far."""
    ground, ink, soft = PAPER[dark]
    rows = math.ceil(len(lines) / _COLUMNS)
    figure = Figure(
        figsize=(_COLUMNS * 1.9, rows * 2.3),
        facecolor=ground,
        layout=ConstrainedLayoutEngine(hspace=0.08, rect=(0.01, 0.0, 0.96, 0.98)),
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel().tolist()
    for ax in axes:
        ax.axis("off")
    far = max(line.profile.max for line in lines)
    for ax, line in zip(axes, lines, strict=False):
        drawn = ax.imshow(line.profile.distances.numpy(), cmap="cividis", vmin=0, vmax=far)
        ax.set_title(line.scheme.label, color=ink, fontsize=9, loc="left", family="monospace")
        note = f"{line.profile.mean:.1f} ± {line.profile.sd:.1f} · PTD {line.ptd:.2f}"
        ax.text(0, -0.05, note, transform=ax.transAxes, color=soft, fontsize=8, va="top")
    bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.4, aspect=40, location="bottom")
    bar.set_label("positions from a patch to the first text token", color=soft, fontsize=8.5)
    bar.ax.tick_params(colors=soft, labelsize=8)
    bar.outline.set_visible(False)
    return figure
