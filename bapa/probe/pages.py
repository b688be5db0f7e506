"""Pages of text as a source: the captions of another source, written into a page at document resolution.

A caption is drawn once, as a strip that covers whole lines of a region; the page around it is Latin filler. Both are
kept as pixels, so a page comes out the same on a machine that lacks the font.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from bapa.errors import ConfigError
from bapa.probe import fonts
from bapa.probe.compose import Pixels
from bapa.probe.design import Design
from bapa.probe.source import Source
from bapa.probe.tile import LeftOut, Tile

SHEETS = 8  # pages of filler
_CELL = 280  # px: nine regions make a page of 840 x 1188 px, A4 at 100 dots an inch
_SIZE, _PITCH, _MARGIN = 1 / 16, 1 / 12, 1 / 20  # of letters, lines and margins, as shares of a region's width
_BAND = 3  # lines of a region that the filler leaves for a caption
_GROUND, _INK = 255, 24
_SHIFTS, _SHADES = 16, 40  # in how many ways the same words are set, so that no two pictures are the same
_TEXT = (
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et "
    "dolore magna aliqua enim ad minim veniam quis nostrud exercitation ullamco laboris nisi aliquip ex ea "
    "commodo consequat duis aute irure in reprehenderit voluptate velit esse cillum fugiat nulla pariatur "
    "excepteur sint occaecat cupidatat non proident sunt culpa qui officia deserunt mollit anim id est laborum"
)
_FILLER = _TEXT.split()


class Pages:
    """The captions of ``source`` as text."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.group = source.group

    @property
    def read(self) -> int:
        return self.source.read

    def filled(self, design: Design) -> Design:
        if design.background not in (None, "white"):
            raise ConfigError(f"a page is white: drop --background {design.background}")
        return self.source.filled(design.filled(cell=_CELL, background="white"))

    def wanted(self, design: Design) -> int:
        return self.source.wanted(design)

    def describe(self) -> dict[str, Any]:
        return {**self.source.describe(), "font": fonts.name()}

    def stamp(self, design: Design, read: int) -> str:
        return self.source.stamp(design, read)

    def backdrops(self, design: Design) -> Iterator[Tile]:
        for number in range(SHEETS):
            yield Tile(_sheet(design, np.random.default_rng([design.seed, number])), "", f"filler page {number}")

    def tiles(self, design: Design) -> Iterator[Tile | LeftOut]:
        seen: Counter[str] = Counter()
        for tile in self.source.tiles(design.model_copy(update={"cell": 8})):  # its pictures are not looked at
            if isinstance(tile, LeftOut):
                yield tile
                continue
            shown = _strip(tile.caption, design, seen[tile.caption])
            seen[tile.caption] += 1
            if isinstance(shown, str):
                yield LeftOut(tile.where, shown)
            else:
                yield Tile(shown, tile.caption, tile.where, tile.attributes, tile.also)


def _strip(text: str, design: Design, number: int) -> Pixels | str:
    """A caption as a picture as wide as a region and whole lines high; or why it cannot be drawn.

    ``number``: how many strips of these words there are already; each is set a little differently.
    """
    if strange := next((character for character in text if fonts.lacks(character)), None):
        return f"the font {fonts.name()} has no {strange!r}"
    side, pitch = design.cell or 0, _pitch(design)
    font, margin = fonts.font(_letters(design)), round(side * _MARGIN)
    lines = fonts.wrapped(text, font, side - 2 * margin)
    room = (design.tall // pitch - 1) | 1  # odd, so that it covers whole lines of filler
    band = max(_BAND, len(lines) | 1)
    if band > room - 2 or any(font.getlength(line) > side - 2 * margin for line in lines):
        return f"its {len(text)} letters do not fit a region of {side} x {design.tall} px"
    image = Image.new("L", (side, band * pitch), _GROUND)
    draw = ImageDraw.Draw(image)
    top = (band - len(lines)) * pitch // 2
    left = margin + number % _SHIFTS * max(1, margin // _SHIFTS)
    ink = _INK + number // _SHIFTS % _SHADES
    for count, line in enumerate(lines):
        draw.text((left, top + count * pitch), line, fill=ink, font=font)
    return np.repeat(np.asarray(image)[..., None], 3, -1)


def _sheet(design: Design, rng: np.random.Generator) -> Pixels:
    """A page of filler, uint8 (height, width, 3), with room for a caption in the middle of every region."""
    side, pitch = design.cell or 0, _pitch(design)
    font, margin = fonts.font(_letters(design)), round(side * _MARGIN)
    image = Image.new("L", (design.cols * side, design.rows * design.tall), _GROUND)
    draw = ImageDraw.Draw(image)
    most = (design.tall // pitch - 1) // 2
    for region in range(design.cells):
        row, col = divmod(region, design.cols)
        band = row * design.tall + (design.tall - _BAND * pitch) // 2
        for line in range(-most + 1, most):
            if abs(line) > _BAND // 2:
                top = band + (line + _BAND // 2) * pitch
                draw.text((col * side + margin, top), _filler(font, side - 2 * margin, rng), fill=_INK, font=font)
    return np.repeat(np.asarray(image)[..., None], 3, -1)


def _filler(font: fonts.Font, width: int, rng: np.random.Generator) -> str:
    """A line of filler that fits."""
    line = ""
    for word in rng.choice(_FILLER, 40):
        longer = f"{line} {word}".strip()
        if font.getlength(longer) > width:
            break
        line = longer
    return line


def _letters(design: Design) -> int:
    return max(6, round((design.cell or 0) * _SIZE))


def _pitch(design: Design) -> int:
    return max(8, round((design.cell or 0) * _PITCH))
