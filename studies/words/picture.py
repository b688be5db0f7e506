"""The pictures of docs/studies/words.md: how even each rule is against what it keeps of neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bapa.report.figures import PAPER, save
from studies.study import ROOT
from studies.where.rules import BLEND, CHANNELS
from studies.words.ask import CANDIDATES
from studies.words.parts import parts

LABELS = {  # short, and where they stand from the dot: right or left of it, above or below
    "native": ("native", 1, 3),
    "bapa": ("bapa", -1, 1),
    CHANNELS: ("rotary pairs", 1, -1),
    BLEND: ("text to image, 0.3", 1, -1),
    "bapa:image_attention=bidirectional": ("mask both ways", 1, 1),
    CANDIDATES[0]: ("blend 0.6, layers 6-29", 1, 1),
    CANDIDATES[1]: ("0.7, layers 9-29", -1, -1),
    CANDIDATES[2]: ("pairs=cross", 1, 1),
    CANDIDATES[3]: ("mask both ways, 0.6, layers 6-29", 1, -1),
    CANDIDATES[4]: ("mask both ways, layers 6-29", 1, -1),
}
PANELS = {"9": "81 image tokens", "24": "576 image tokens"}


def draw(record: Mapping[str, Any]) -> None:
    """Draw it in both themes, and beside it that of single parts where they were asked."""
    for dark in (False, True):
        theme = "dark" if dark else "light"
        save(frontier(record, dark=dark), ROOT / "docs" / f"words-{theme}.svg", "svg")
        if "sites" in record:
            save(parts(record["sites"], dark=dark), ROOT / "docs" / "assets" / f"words-parts-{theme}.svg", "svg")


def frontier(record: Mapping[str, Any], *, dark: bool) -> Figure:
    """A panel per number of image tokens: range over cells to the right, kept of right-hand neighbours upwards."""
    ground, ink, soft = PAPER[dark]
    figure = Figure(figsize=(9, 4.2), facecolor=ground, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    for (side, title), ax in zip(PANELS.items(), figure.subplots(1, 2, sharey=True), strict=True):
        ax.set_facecolor(ground)
        ax.spines[:].set_visible(False)
        ax.grid(color=soft, alpha=0.25, lw=0.6)
        ax.tick_params(colors=soft, labelsize=8)
        ax.set_title(title, color=ink, fontsize=10, loc="left")
        known: Mapping[str, Any] = next(iter(record.get("neighbours", {}).get(side, {}).values()), {})
        for rule, its in known.items():
            _dot(ax, rule, record[side]["all wordings"]["rules"][rule]["range"], its["right"], dark=dark)
        ax.set_xlim(-8, 40)
        ax.set_ylim(-15, 130)
    figure.supxlabel("range over the cells, points of AUC (left is more even)", color=soft, fontsize=9)
    figure.supylabel("kept of what stands to the right, %", color=soft, fontsize=9)
    return figure


def _dot(ax: Axes, rule: str, even: Mapping[str, float], right: Mapping[str, Any], *, dark: bool) -> None:
    """One rule with its intervals, and its name. Native keeps all by definition."""
    _, ink, soft = PAPER[dark]
    picked, other = ("#5fd0bb", "#8fb8f2") if dark else ("#0b6e5f", "#1f4e8c")
    kept = right.get("kept", {"value": 1, "low": 1, "high": 1})
    x, y = 100 * even["value"], 100 * kept["value"]
    reach = [[[abs(100 * its[end] - at)] for end in ("low", "high")] for its, at in ((even, x), (kept, y))]
    colour = picked if rule == CANDIDATES[0] else ink if rule == "native" else other
    ax.errorbar(x, y, reach[1], reach[0], "o", color=colour, ecolor=soft, elinewidth=0.8, ms=5)
    label, right_of, above = LABELS[rule]
    ax.annotate(
        label,
        (x, y),
        (6 * right_of, 5 * above),
        textcoords="offset points",
        ha="left" if right_of > 0 else "right",
        va="bottom" if above > 0 else "top",
        color=colour,
        fontsize=8,
    )
