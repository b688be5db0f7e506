"""The picture of docs/studies/calibration.md: mean hits against the distance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bapa.report.figures import PAPER, save
from studies.reference.build import tile_of_patch
from studies.reference.recipe import IMAGE_TOKENS, SKEWS
from studies.study import ROOT


def draw(models: Mapping[str, Any]) -> None:
    """Draw it in both themes, if the record holds the curve of every model; the first record did not keep them."""
    if without := [name for name, found in models.items() if "curve" not in found]:
        typer.echo(f"the picture stays as it is: no curve kept of {', '.join(without)}")
        return
    for dark in (False, True):
        save(curves(models, dark=dark), ROOT / "docs" / f"calibration-{'dark' if dark else 'light'}.svg", "svg")


def curves(models: Mapping[str, Any], *, dark: bool) -> Figure:
    """A panel per skew and a line per seed; shaded, where the training asked."""
    ground, ink, soft = PAPER[dark]
    colours = ("#8fb8f2", "#5fd0bb", "#e3b04b") if dark else ("#1f4e8c", "#0b6e5f", "#8a5a00")
    figure = Figure(figsize=(9, 5), facecolor=ground, layout=ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1))
    for skew, ax in zip(SKEWS, figure.subplots(2, 2, sharex=True, sharey=True).flat, strict=True):
        ax.set_facecolor(ground)
        ax.spines[:].set_visible(False)
        ax.grid(axis="y", color=soft, alpha=0.25, lw=0.6)
        ax.tick_params(colors=soft, labelsize=8)
        ax.set_title(f"trained on: {skew}", color=ink, fontsize=10, loc="left")
        for low, high in trained(skew):
            ax.axvspan(low, high, color=soft, alpha=0.18, lw=0)
        for seed, style, colour in zip((1, 2, 3), ("-", "--", ":"), colours, strict=True):
            if found := models.get(f"{skew}-{seed}"):
                x, y = [distance(rule) for rule, _ in found["curve"]], [100 * hit for _, hit in found["curve"]]
                ax.plot(x, y, style, marker=".", color=colour, lw=1.3, label=f"seed {seed}")
                ax.plot(distance(found["chosen"]), 2, "^", color=colour, ms=6, clip_on=False)
        ax.set_ylim(-2, 103)
    for ax in figure.axes:
        if ax.lines:
            ax.legend(frameon=False, fontsize=8, labelcolor=ink)
    figure.supxlabel("distance from the shared position to the text, in native distances", color=soft, fontsize=9)
    figure.supylabel("mean hit rate, %", color=soft, fontsize=9)
    return figure


def distance(rule: str) -> float:
    """The distance of a rule in native ones; 0 for the paper's, which is one position."""
    return float(rule.partition("=")[2].partition("x")[0] or 0)


def trained(skew: str) -> Iterator[tuple[float, float]]:
    """Native distances at which the tokens of the asked cells stood in training, unbroken runs of them."""
    middle = (IMAGE_TOKENS + 1) / 2
    tile = tile_of_patch().tolist()
    there = [IMAGE_TOKENS - token for token in range(IMAGE_TOKENS) if tile[token] in SKEWS[skew]]
    for far in there:
        if far + 1 not in there:
            near = far
            while near - 1 in there:
                near -= 1
            yield (near - 0.5) / middle, (far + 0.5) / middle
