"""Pictures of attention over a canvas, before and after a scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from bapa.report.figures import PAPER

_ORANGE = np.array([255, 150, 20], np.uint8)
_SIDE, _STRIP = 2.2, 6.4  # width in inches of a picture, and of several in a row


def heat(attention: NDArray[np.float64], places: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Attention per token painted where the tokens look: float64 (height, width), each pixel that of the nearest token.

    ``attention``: (tokens,); ``places``: (tokens, 2), where each looks, NaN for nowhere. Tokens that look at the same
    place (a thumbnail and a tile) add up.
    """
    from scipy.spatial import cKDTree

    seen = np.isfinite(places[:, 0])
    spots, where = np.unique(places[seen].round(3), axis=0, return_inverse=True)
    total = np.bincount(where.ravel(), attention[seen], len(spots))
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([(y.ravel() + 0.5) / height, (x.ravel() + 0.5) / width], -1)
    return total[cKDTree(spots).query(pixels)[1]].reshape(height, width)


def overlay(
    canvas: NDArray[np.uint8],
    shown: Mapping[str, Sequence[float]],
    places: NDArray[np.float64],
    target: int,
    rows: int,
    cols: int,
    *,
    dark: bool = False,
) -> Figure:
    """The canvas with the numbers of its cells, then for each scheme the answer's attention over it: the more orange,
    the more, on one scale.

    ``shown``: by scheme, attention of each image token; ``target``: the target's cell, framed. Frame and numbers are
    white with a dark edge, so they stand out on any picture.
    """
    ground, ink, _ = PAPER[dark]
    height, width = canvas.shape[:2]
    count, shape = len(shown) + 1, height / width
    strip = 2 * height <= width  # the images of a prompt: one below the other
    size = (_STRIP, (_STRIP * shape + 0.3) * count) if strip else (_SIDE * count, _SIDE * shape + 0.3)
    figure = Figure(figsize=size, facecolor=ground, layout="constrained")
    axes = figure.subplots(count if strip else 1, 1 if strip else count, squeeze=False).ravel()
    painted = {scheme: heat(np.asarray(values), places, height, width) for scheme, values in shown.items()}
    top = max(float(one.max()) for one in painted.values())
    edged: dict[str, Any] = {"path_effects": [withStroke(linewidth=3.2, foreground="black")]}
    grey = np.repeat(canvas.mean(-1, keepdims=True) / 2, 3, -1).astype(np.uint8)
    for ax, title in zip(axes, ("canvas", *shown), strict=True):
        ax.imshow(canvas if title == "canvas" else grey)
        if title != "canvas":
            ax.imshow(np.broadcast_to(_ORANGE, (height, width, 3)), alpha=painted[title] / top)
        row, col = divmod(target, cols)
        corners = np.array([[col, row], [col + 1, row], [col + 1, row + 1], [col, row + 1], [col, row]])
        ax.plot(*(corners * [width / cols, height / rows] - 0.5).T, color="white", lw=1.6, clip_on=False, **edged)
        if title == "canvas":
            for cell in range(rows * cols):
                at = ((cell % cols + 0.08) * width / cols, (cell // cols + 0.06) * height / rows)
                ax.text(*at, str(cell + 1), color="white", fontsize=8, va="top", fontweight="bold", **edged)
        ax.set_title(title, color=ink, fontsize=8, loc="left", family="monospace")
        ax.axis("off")
    return figure
