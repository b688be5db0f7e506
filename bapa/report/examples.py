"""Example items: the canvases themselves, with what each scheme saw and missed."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from PIL import Image

from bapa.probe.slots import Slots
from bapa.stats.trials import ABSENT

if TYPE_CHECKING:
    from bapa.probe import Probe

_CHOSEN = (
    "Three items, chosen by rule: put in order of how many cells {base} got right, they stand at one tenth, one half "
    "and nine tenths of the way."
)
_FEW = {1: "The one item", 2: "The two items"}  # all that there are
_DRAWN = "In the picture of each cell the content is outlined; it is faded and crossed where the model missed it."
_SIDE = 96  # pixels of a thumbnail; small canvases keep their own


@dataclass(frozen=True)
class Grid:
    """What one scheme made of an item: a hit or a miss per cell."""

    scheme: str
    hits: list[bool]
    slots: Slots

    @property
    def spoken(self) -> str:
        """The hits in words."""
        right = [self.slots.name(cell) for cell, hit in enumerate(self.hits) if hit]
        return "; ".join(right) or "no place"


@dataclass(frozen=True)
class Example:
    """One item in all its cells. ``pictures``: base64 PNG per cell, ``width`` x ``height`` pixels. ``rows``, ``cols``:
    how the pictures stand on the page; strips of images and frames stand one below the other.
    """

    id: str
    question: str
    why: str
    slots: Slots
    rows: int
    cols: int
    width: int
    height: int
    pictures: list[str]
    grids: list[Grid]


def rule(count: int, base: str) -> str:
    """How ``count`` example items, as :func:`examples` gives them, were chosen, and what their pictures show."""
    few = f"{_FEW[count]} answered in all cells under every scheme." if count in _FEW else ""
    return f"{few or _CHOSEN.format(base=base)} {_DRAWN}"


def choose(hits: pd.Series, count: int = 3) -> list[int]:
    """``count`` items spread evenly over the order of ``hits`` (index: item), from one tenth to nine tenths."""
    ordered = list(hits.sort_values(kind="stable").index)
    steps = [0.1 + 0.8 * i / (count - 1) for i in range(count)]
    return list(dict.fromkeys(ordered[round(step * (len(ordered) - 1))] for step in steps))


def examples(answers: pd.DataFrame, probe: Probe, schemes: Sequence[str], base: str, name: str) -> list[Example]:
    """Example items of a run, by the first question about what is there; none where no item was answered everywhere.

    ``answers``: the rows of ``answers.parquet``; ``name``: begins ids unique in the page.
    """
    there = answers["kind"] == "present"
    there = answers[(there if there.any() else ~answers["kind"].isin(ABSENT)) & answers["correct"].notna()]
    if there.empty:
        return []
    asked = there["question"].iloc[0]
    table = there[there["question"] == asked].pivot_table(
        index="item", columns=["scheme", "cell"], values="correct", aggfunc="first"
    )
    table = table.reindex(columns=pd.MultiIndex.from_product([schemes, range(probe.cells)])).dropna()
    if table.empty:
        return []
    right = table[base].astype(bool).sum(axis=1)
    by_id = {item.item: item for item in probe.items}
    found = []
    for number in choose(right):
        item = by_id[number]
        side = _SIDE * (probe.cells // 2 if probe.slots.apart else 1)
        canvases = [_thumbnail(probe.compose(item, cell), side) for cell in range(probe.cells)]
        text = next(question.shown for question in probe.questions(item, 0) if question.question_id == asked)
        found.append(
            Example(
                id=f"{name}-{number}",
                question=text,
                why=f"item {number}: right in {right[number]} of {probe.cells} {probe.slots.words} under {base}",
                slots=probe.slots,
                rows=probe.cells if probe.slots.apart else probe.rows,
                cols=1 if probe.slots.apart else probe.cols,
                width=canvases[0].width,
                height=canvases[0].height,
                pictures=[_png(canvas) for canvas in canvases],
                grids=[
                    Grid(scheme, table.loc[number, scheme].astype(bool).tolist(), probe.slots) for scheme in schemes
                ],
            )
        )
    return found


def _thumbnail(pixels: object, side: int = _SIDE) -> Image.Image:
    canvas = Image.fromarray(pixels)  # type: ignore[arg-type]
    if max(canvas.size) > side:
        canvas.thumbnail((side, side), Image.Resampling.LANCZOS)
    return canvas


def _png(canvas: Image.Image) -> str:
    buffer = io.BytesIO()
    canvas.quantize(64).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
