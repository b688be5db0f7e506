"""From a name in a table to a file beside it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from bapa.probe.picture import UnusableError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


def find(folder: Path, name: str) -> Path:
    """The file that ``name`` means in ``folder``: as it stands, or written by Windows (``a\\b``) or macOS (accents
    decomposed).

    Raises:
        UnusableError: there is none, or the name or a link leads out of the folder.
    """
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or ".." in PureWindowsPath(name).parts:
        raise UnusableError("leads out of its folder")
    for spelled in _spellings(name):
        path = folder / spelled
        try:
            if not path.is_file():
                continue
        except (OSError, ValueError):  # too long for a name, or not to be written as one
            continue
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UnusableError("a link that leads out of its folder")
        return path
    raise UnusableError("no such file")


def _spellings(name: str) -> Iterator[str]:
    for slashed in dict.fromkeys((name, name.replace("\\", "/"))):
        yield slashed
        for form in ("NFC", "NFD"):
            if (spelled := unicodedata.normalize(form, slashed)) != slashed:
                yield spelled


def plain_name(name: str) -> str:
    """What the spellings of one name share."""
    return unicodedata.normalize("NFC", PurePosixPath(name.replace("\\", "/")).as_posix())


def pictures(folder: Path) -> list[str]:
    """Names of all picture files below a folder, sorted. As for ``datasets``, what begins with ``.`` or ``__`` does
    not count: copies and leavings of other programs.
    """
    below = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path.as_posix() for path in below if not any(part.startswith((".", "__")) for part in path.parts))


def printable(text: str) -> str:
    """A name that may hold bytes that are no text, or what moves a terminal's cursor, as one line of text."""
    return "".join(ascii(sign)[1:-1] if unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in text)
