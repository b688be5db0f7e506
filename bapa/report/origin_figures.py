"""Figures as vector graphics, on a light and on a dark ground, from ``origin.json`` alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bapa.files import replacing
from bapa.probe.slots import Slots
from bapa.report.figures import PAPER
from bapa.report.origin_tables import NAMES

Found = Mapping[str, Any]
_HUES = {False: ("#1f6f8b", "#c8553d"), True: ("#6fb7d6", "#f0916f")}  # hit rate, margin
_SHOWN = ("encoder", "order", "position", "remainder")


def draw(found: Found, folder: Path) -> None:
    """Write all figures that ``found`` has the numbers for, each as SVG (light and dark) and PDF."""
    for name, figure in _figures(found):
        save(figure(False), folder / f"{name}.svg")
        save(figure(True), folder / f"{name}-dark.svg")
        save(figure(False), folder / f"{name}.pdf")


def save(figure: Figure, path: Path) -> None:
    """Write an SVG or PDF; the same figure gives the same bytes."""
    kind = path.suffix[1:]
    with mpl.rc_context({"svg.hashsalt": "bapa"}), replacing(path) as part:
        FigureCanvasAgg(figure)
        figure.savefig(part, format=kind, metadata={"svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind])


def _figures(found: Found) -> Iterator[tuple[str, Callable[[bool], Figure]]]:
    if has_shares(found):
        yield "attribution", lambda dark: attribution(found, dark=dark)
    if found.get("encoder"):
        yield "encoder", lambda dark: encoder(found, dark=dark)
    if found.get("occlusion"):
        yield "occlusion", lambda dark: occlusion(found, dark=dark)
    if found.get("flow"):
        yield "flow", lambda dark: flow(found, dark=dark)


def has_shares(found: Found) -> bool:
    """Whether there is a spread that could be shared out: there were moves, and the cells differ."""
    shares = found["attribution"]["hit"]
    return bool(shares) and shares["encoder"]["value"] is not None


def attribution(found: Found, *, dark: bool = False) -> Figure:
    """Share of the spread that goes with each factor, with intervals."""
    figure, (ax,) = _sheet(1, (6.4, 2.6), dark)
    _, ink, soft = PAPER[dark]
    at = np.arange(len(_SHOWN))
    for offset, quantity, name, hue in zip(
        (-0.16, 0.16), ("hit", "margin"), ("hit rate", "margin"), _HUES[dark], strict=True
    ):
        shares = [found["attribution"][quantity][factor] for factor in _SHOWN]
        value, low, high = (np.array([share[x] for share in shares], float) for x in ("value", "low", "high"))
        ax.barh(at + offset, 100 * value, 0.3, color=hue, label=name)
        ax.hlines(at + offset, 100 * low, 100 * high, color=ink, lw=1.2)
    ax.set_yticks(at, [NAMES[factor] for factor in _SHOWN])
    ax.invert_yaxis()
    ax.axvline(0, color=soft, lw=0.8)
    ax.set_xlabel(Slots.of(found["probe"]).say("share of the spread between cells, %"), color=soft)
    ax.legend(frameon=False, labelcolor=ink, fontsize=8)
    return figure


def encoder(found: Found, *, dark: bool = False) -> Figure:
    """Accuracy of linear probes per layer, fitted on other cells; the band spans the cells."""
    labels = list(found["encoder"]["probes"])
    figure, axes = _sheet(len(labels), (3.3 * len(labels), 2.7), dark)
    _, ink, soft = PAPER[dark]
    for ax, label in zip(axes, labels, strict=True):
        told = found["encoder"]["probes"][label]
        kept = [layer["transfer"] for layer in told["layers"]]
        values = 100 * np.array([[cell["value"] for cell in one["cells"]] for one in kept])
        at = np.arange(len(values))
        ax.fill_between(at, values.min(1), values.max(1), color=_HUES[dark][0], alpha=0.3, lw=0)
        ax.plot(at, values.mean(1), color=_HUES[dark][0], marker="o", ms=3.5)
        ax.axhline(100 * told["chance"], color=soft, lw=0.8, ls=":")
        ax.set_xticks(at, [layer["layer"].replace("encoder ", "") for layer in told["layers"]])
        ax.set_ylim(0, 103)
        ax.set_title(f"{label}, {told['classes']} classes", color=ink, fontsize=9, loc="left")
        ax.set_xlabel("layer of the encoder", color=soft)
    axes[0].set_ylabel(Slots.of(found["probe"]).say("read right in cells not fitted on, %"), color=soft)
    return figure


def occlusion(found: Found, *, dark: bool = False) -> Figure:
    """For each cell of the target, by how much hiding each part of the canvas lowers the margin."""
    rows, cols = found["probe"]["rows"], found["probe"]["cols"]
    maps = np.array(found["occlusion"]["maps"])
    strip = rows == 1  # the images of a prompt: as wide as the page, one below the other
    size = (6.4, (5.2 / cols + 0.1) * cols + 0.3) if strip else (1.25 * cols + 0.9, 1.25 * rows + 0.3)
    figure, axes = _sheet(rows * cols, size, dark, cols if strip else rows)
    top = max(float(np.abs(maps).max()), 1e-9)
    for cell, (ax, drops) in enumerate(zip(axes, maps, strict=True)):
        drawn = ax.imshow(drops, cmap="PuOr", vmin=-top, vmax=top, extent=(0, cols, rows, 0))
        _frame(ax, cell, cols)
    _bar(figure, drawn, axes, "fall of the margin", dark)
    return figure


def flow(found: Found, *, dark: bool = False) -> Figure:
    """For each scheme and target cell, share of the answer's attention on the image that each cell gets, all layers."""
    rows, cols = found["probe"]["rows"], found["probe"]["cols"]
    schemes, say = found["flow"]["schemes"], Slots.of(found["probe"]).say
    figure, axes = _sheet(len(schemes), (2.6 * len(schemes) + 0.9, 2.9), dark)
    _, ink, soft = PAPER[dark]
    shares = {scheme: 100 * np.array(told["target_cells"])[:, 1].mean(0) for scheme, told in schemes.items()}
    top = max(float(share.max()) for share in shares.values())
    for ax, (scheme, share) in zip(axes, shares.items(), strict=True):
        drawn = ax.imshow(share, cmap="viridis", vmin=0, vmax=top)
        ax.set_title(scheme, color=ink, fontsize=9, loc="left", family="monospace")
        ax.set_xlabel(say("attention goes to cell"), color=soft)
        ax.set_xticks(range(rows * cols), range(1, rows * cols + 1))
        ax.set_yticks(range(rows * cols), range(1, rows * cols + 1))
    axes[0].set_ylabel(say("target stands in cell"), color=soft)
    _bar(figure, drawn, axes, "share of attention on the image, %", dark)
    return figure


def _sheet(count: int, size: tuple[float, float], dark: bool, rows: int = 1) -> tuple[Figure, list[Any]]:
    ground, ink, soft = PAPER[dark]
    figure = Figure(figsize=size, facecolor=ground, layout="constrained")
    axes = figure.subplots(rows, count // rows, squeeze=False).ravel().tolist()
    for ax in axes:
        ax.set_facecolor(ground)
        ax.tick_params(colors=soft, labelsize=8)
        ax.yaxis.label.set_fontsize(8.5)
        ax.xaxis.label.set_fontsize(8.5)
        for side, spine in ax.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(soft)
    for tick in axes[0].get_yticklabels():
        tick.set_color(ink)
    return figure, axes


def _frame(ax: Any, cell: int, cols: int) -> None:
    """The target's cell on a map in cells; dark on any page, for the maps are light."""
    row, col = divmod(cell, cols)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ink = PAPER[False][1]
    ax.plot([col, col + 1, col + 1, col, col], [row, row, row + 1, row + 1, row], color=ink, lw=1.2, clip_on=False)


def _bar(figure: Figure, drawn: Any, axes: list[Any], label: str, dark: bool) -> None:
    _, _, soft = PAPER[dark]
    bar = figure.colorbar(drawn, ax=axes, shrink=0.7, aspect=25)
    bar.set_label(label, color=soft, fontsize=8.5)
    bar.ax.tick_params(colors=soft, labelsize=8)
    bar.outline.set_visible(False)
