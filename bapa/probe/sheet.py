"""The contact sheet: what a probe shows and asks, at a glance."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bapa.probe.fonts import wrapped

if TYPE_CHECKING:
    from bapa.probe.item import Item
    from bapa.probe.questions import Question
    from bapa.probe.store import Probe

_PAPER, _CARD, _INK, _SOFT, _LINE = "#f7f7f5", "#ffffff", "#22262b", "#6d747c", "#e3e4e1"
_ACCENT = "#e8186d"  # none of the digits' tints
_TONES = {"present": "#2b8a3e", "absent": "#c92a2a", "lure": "#a8660a", "near_miss": "#a8660a"}
_WIDTH, _MARGIN, _GAP = 1640, 48, 32
_CANVAS = 360  # side of the large canvas
_ITEMS = 3
_LINES = 9  # of a question's text


def contact_sheet(probe: Probe) -> Image.Image:
    """Three items, each with one large canvas, its target going through the cells, and what is asked."""
    items = probe.items[: min(_ITEMS, len(probe.items))]
    card = _CANVAS + 2 * _GAP
    top = 168
    sheet = Image.new("RGB", (_WIDTH, top + len(items) * (card + _GAP) + _MARGIN - _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, 40), f"Probe: {probe.source['name']}", _INK, _font(46))
    draw.text((_MARGIN, 104), _summary(probe), _SOFT, _font(22))
    for number, item in enumerate(items):
        left, upper = _MARGIN, top + number * (card + _GAP)
        draw.rounded_rectangle((left, upper, _WIDTH - _MARGIN, upper + card), 18, _CARD, _LINE, 2)
        _item(sheet, draw, probe, item, left + _GAP, upper + _GAP)
    return sheet


def _summary(probe: Probe) -> str:
    design, count = probe.design, len(probe.items)
    size = f"{probe.width // (probe.cols if probe.slots.apart else 1)} x {probe.height} px"
    shown = {"images": f"prompts of images of {size}", "frames": f"clips of {size}", "page": f"pages of {size}"}.get(
        probe.slots.kind, f"canvases of {size}"
    )
    parts = [
        f"{count:,} items x {probe.cells} {probe.slots.words} = {count * probe.cells:,} {shown}",
        f"placement {design.placement}",
        f"distractors {design.distractors}",
        f"seed {design.seed}",
        probe.fingerprint[:12],
    ]
    return "   ·   ".join(parts)


def _item(sheet: Image.Image, draw: ImageDraw.ImageDraw, probe: Probe, item: Item, left: int, top: int) -> None:
    cell = item.home
    sheet.paste(_thumbnail(probe, item, cell, _CANVAS, 5), (left, top))
    left += _CANVAS + _GAP
    if probe.slots.line:
        _strips(sheet, probe, item, left, top)
    else:
        _grid(sheet, probe, item, left, top)
    left += _CANVAS + _GAP + 8
    width = _WIDTH - _MARGIN - _GAP - left
    for question in probe.questions(item, cell)[:3]:
        top += _question(draw, question, left, top, width) + 20


def _grid(sheet: Image.Image, probe: Probe, item: Item, left: int, top: int) -> None:
    """The target in up to nine cells."""
    rows, cols = (np.unique(np.linspace(0, n - 1, 3).round().astype(int)).tolist() for n in (probe.rows, probe.cols))
    gap = 12
    side = (_CANVAS - gap * 2) // 3
    for (y, row), (x, col) in ((a, b) for a in enumerate(rows) for b in enumerate(cols)):
        small = _thumbnail(probe, item, row * probe.cols + col, side, 2)
        sheet.paste(small, (left + x * (side + gap), top + y * (small.height + gap)))


def _strips(sheet: Image.Image, probe: Probe, item: Item, left: int, top: int) -> None:
    """The target in every image or frame, one below the other."""
    pitch = _CANVAS // probe.cells
    for slot in range(probe.cells):
        small = _thumbnail(probe, item, slot, min(_CANVAS, (pitch - 4) * (probe.cols if probe.slots.apart else 1)), 2)
        sheet.paste(small, (left, top + slot * pitch))


def _thumbnail(probe: Probe, item: Item, cell: int, side: int, line: int) -> Image.Image:
    """A canvas fitted into a square, its target outlined by a line of up to ``line`` pixels."""
    canvas = Image.fromarray(probe.compose(item, cell))
    scale = side / max(canvas.size)
    how = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
    canvas = canvas.resize((round(canvas.width * scale), round(canvas.height * scale)), how)
    left, top, wide, high = probe.slots.box(cell)
    px = wide * canvas.width
    box = (
        *(round(left * canvas.width), round(top * canvas.height)),
        *(round((left + wide) * canvas.width) - 1, round((top + high) * canvas.height) - 1),
    )
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, canvas.width - 1, canvas.height - 1), outline=_LINE)
    draw.rectangle(box, outline=_ACCENT, width=max(1, min(line, round(px / 10))))
    return canvas


def _question(draw: ImageDraw.ImageDraw, question: Question, left: int, top: int, width: int) -> int:
    """Draws a question and returns its height."""
    baseline = top + 18
    kind = question.kind.replace("_", " ").upper()
    draw.text((left, baseline), kind, _TONES.get(question.kind, _ACCENT), _font(17), anchor="ls")
    draw.text((left + width, baseline), question.answer[:40], _INK, _font(21), anchor="rs")
    lines = [line for part in question.shown.splitlines() for line in wrapped(part, _font(21), width)][:_LINES]
    for number, line in enumerate(lines):
        draw.text((left, top + 28 + 27 * number), line, _SOFT, _font(21))
    return 28 + 27 * len(lines)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))  # Pillow's wheels come with FreeType
