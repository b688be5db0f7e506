"""The rules as pictures: how far each patch of a grid stands from the first text token under every scheme."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bapa.errors import SchemeError
from bapa.layout import Grid
from bapa.report.figures import PAPER
from bapa.schemes import Profile, Scheme, profile, ptd

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


def draw(lines: list[Shown], *, dark: bool = False) -> Figure:
    """One map per scheme, each on its own scale: dark patches are near to the text, light ones far."""
    ground, ink, soft = PAPER[dark]
    rows = math.ceil(len(lines) / _COLUMNS)
    figure = Figure(figsize=(_COLUMNS * 1.9, rows * 2.3), facecolor=ground, layout=ConstrainedLayoutEngine(hspace=0.08))
    FigureCanvasAgg(figure)
    for ax in figure.subplots(rows, _COLUMNS, squeeze=False).flat:
        ax.axis("off")
    for ax, line in zip(figure.axes, lines, strict=False):
        near = float(line.profile.distances.min())
        flat = line.profile.max - near < 1e-6  # rounding alone must not look like a pattern
        ax.imshow(
            line.profile.distances.numpy(), cmap="cividis", vmin=near, vmax=near + 1 if flat else line.profile.max
        )
        ax.set_title(line.scheme.label, color=ink, fontsize=9, loc="left", family="monospace")
        note = f"{line.profile.mean:.1f} ± {line.profile.sd:.1f} · PTD {line.ptd:.2f}"
        ax.text(0, -0.05, note, transform=ax.transAxes, color=soft, fontsize=8, va="top")
    return figure
