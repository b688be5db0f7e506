"""The one reader of places that models write: boxes and points in the forms of grounding models.

What numbers count is told by the form where it is written for one family, and else by the numbers: none above 1 are
shares of the picture, none above 1000 thousandths of it, others pixels. Two forms are the same in writing and differ by
family: ``bbox_2d`` and ``point_2d`` count pixels in Qwen2.5-VL and thousandths in Qwen3-VL. There ``unit`` decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Literal["share", "thousand", "pixels"]

# By processor: what numbers count in the forms that families share. Pixels are those of the picture as it is made to
# fit, so cells should be whole patches of the model (``--patch 28``).
UNITS: dict[str, Unit] = {
    "Qwen2_5_VLProcessor": "pixels",
    "Qwen2_5OmniProcessor": "pixels",
    "Qwen3VLProcessor": "thousand",
}

_N = r"\s*[\"']?(-?\d+(?:\.\d+)?)[\"']?\s*"
_FOUR = rf"[\[(]{_N},{_N},{_N},{_N}[\])]"
_PAIRS = rf"\({_N},{_N}\)\s*,?\s*\({_N},{_N}\)"
_TWO = rf"[\[(]{_N},{_N}[\])]"
_LOC = re.compile(r"<loc_?(\d+)>")
_PALIGEMMA, _FLORENCE = 1024.0, 1000.0  # bins


@dataclass(frozen=True)
class Pointed:
    """A place in a picture. ``box``: left, top, right, bottom as shares of its width and height; of a point both
    corners are alike. ``form``: how it was written.
    """

    box: tuple[float, float, float, float]
    form: str

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box, as shares from the left and from the top."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2

    def within(self, region: tuple[float, float, float, float]) -> bool:
        """Whether the centre lies in ``region``, a box likewise."""
        x, y = self.centre
        left, top, right, bottom = region
        return left <= x <= right and top <= y <= bottom


@dataclass(frozen=True)
class _Form:
    """``pattern``: two or four groups; ``unit``: what they count, None where the numbers tell; ``rows_first``: y before
    x.
    """

    name: str
    pattern: re.Pattern[str]
    unit: float | None = None
    rows_first: bool = False


def _form(name: str, pattern: str, unit: float | None = None, *, rows_first: bool = False) -> _Form:
    return _Form(name, re.compile(pattern, re.I | re.S), unit, rows_first)


# The first that matches counts: those that say more about themselves come first.
FORMS = (
    _form("<|box_start|>", rf"<\|box_start\|>\s*{_PAIRS}\s*<\|box_end\|>", 1000),  # Qwen2-VL
    _form("<box>", rf"<box>\s*{_PAIRS}\s*</box>", 1000),  # Qwen-VL
    _form("<box>", rf"<box>\s*\[?\s*{_FOUR}", 1000),  # InternVL
    _form("<|begin_of_box|>", rf"<\|begin_of_box\|>\s*\[?\s*{_FOUR}", 1000),  # GLM-V
    _form("box_2d", rf"(?<![a-z])box_2d[\"']?\s*:\s*{_FOUR}", 1000, rows_first=True),  # Gemini, Gemma
    _form("bbox_2d", rf"[\"']?bbox(?:_2d)?[\"']?\s*:\s*{_FOUR}"),  # Qwen2.5-VL, Qwen3-VL
    _form("point_2d", rf"[\"']?point_2d[\"']?\s*:\s*{_TWO}"),
    _form("point", rf"[\"']?point[\"']?\s*:\s*{_TWO}", 1000, rows_first=True),  # Gemini
    _form("<point>", rf"<points?\b[^>]*?\bx1?={_N}\s+y1?={_N}", 100),  # Molmo
    _form("<point>", rf"<point>{_N}[,\s]{_N}</point>"),  # UI-TARS
    _form("start_box", rf"start_box=\s*[\"']?(?:<\|box_start\|>)?{_TWO}"),  # UI-TARS
    _form("pairs", _PAIRS),
    _form("four numbers", _FOUR),  # Shikra and LLaVA: shares; CogVLM: thousandths
    _form("two numbers", _TWO),
)


def pointed(text: str, width: int, height: int, unit: Unit | None = None) -> Pointed | None:
    """The first place that a text names in a picture of ``width`` x ``height`` pixels; None where it names none, or one
    that is no place in it.

    ``unit``: what the numbers count of forms that do not say so; None goes by their size.
    """
    if len(bins := [float(bin_) for bin_ in _LOC.findall(text)]) >= 4:
        return _of_bins(text, bins[:4])
    for form in FORMS:
        if found := form.pattern.search(text):
            numbers = [float(number) for number in found.groups()]
            scale = _scale(numbers, width, height, unit) if form.unit is None else _same(form.unit)
            return _checked(_ordered(numbers, form.rows_first), scale, form.name)
    return None


def _of_bins(text: str, bins: Sequence[float]) -> Pointed | None:
    """PaliGemma's ``<loc0123>``, rows first; Florence's ``<loc_123>``, columns first."""
    florence = "<loc_" in text
    return _checked(_ordered(bins, not florence), _same(_FLORENCE if florence else _PALIGEMMA), "<loc>")


def _same(scale: float) -> tuple[float, float]:
    return scale, scale


def _scale(numbers: Sequence[float], width: int, height: int, unit: Unit | None) -> tuple[float, float]:
    """What is one picture, across and down."""
    largest = max(numbers)
    unit = unit or ("share" if largest <= 1 else "thousand" if largest <= 1000 else "pixels")
    return {"share": (1.0, 1.0), "thousand": (1000.0, 1000.0), "pixels": (float(width), float(height))}[unit]


def _ordered(numbers: Sequence[float], rows_first: bool) -> list[float]:
    """Columns before rows, two corners."""
    corners = [numbers[i : i + 2] for i in range(0, len(numbers), 2)]
    if rows_first:
        corners = [corner[::-1] for corner in corners]
    return [number for corner in (corners[0], corners[-1]) for number in corner]


def _checked(numbers: Sequence[float], scale: tuple[float, float], form: str) -> Pointed | None:
    left, top, right, bottom = (number / scale[i % 2] for i, number in enumerate(numbers))
    inside = all(0 <= share <= 1 for share in (left, top, right, bottom))
    return Pointed((left, top, right, bottom), form) if inside and left <= right and top <= bottom else None
