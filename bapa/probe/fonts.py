"""The font of text pages: that of the system, or the one that Pillow brings."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import cast

from PIL import ImageFont

Font = ImageFont.FreeTypeFont
_WANTED = "serif:style=Book,Regular"
_NO_CHARACTER = "\U0010ffff"  # of no font, so it is drawn as what stands for what a font lacks


@cache
def found() -> Path | None:
    """The file of the serif font that fontconfig names; None where there is no fontconfig, or it names none."""
    program = shutil.which("fc-match")
    if program is None:
        return None
    try:
        told = subprocess.run(
            [program, "-f", "%{file}", _WANTED], capture_output=True, text=True, timeout=30, check=True
        ).stdout
        ImageFont.truetype(told, 16)
    except (OSError, subprocess.SubprocessError):  # a bitmap font, say
        return None
    return Path(told)


@cache
def font(size: int) -> Font:
    """The font at ``size`` pixels."""
    path = found()
    if path is None:
        return cast(Font, ImageFont.load_default(size))  # Pillow's wheels come with FreeType
    return ImageFont.truetype(str(path), size)


def name() -> str:
    """Family and style of the font, for the record."""
    return " ".join(filter(None, font(16).getname()))


@cache
def lacks(character: str) -> bool:
    """Whether the font has no picture of a character."""
    drawn, unknown = (bytes(font(32).getmask(one)) for one in (character, _NO_CHARACTER))
    return not character.isspace() and drawn == unknown


def wrapped(text: str, font: Font, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` pixels, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
