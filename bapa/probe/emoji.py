"""Drawn things with names: the pictures of an installed ``emoji-datasource-NAME`` package (npm).

Several of these packages hold the same things, each drawn by other hands (google, twitter, facebook, ...): a model can
be trained on some hands and asked about another's drawings, which it has never seen. The package is read where it was
installed; nothing of it becomes part of this one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bapa.errors import ConfigError, ProbeError
from bapa.probe.design import Design
from bapa.probe.photos import backdrops
from bapa.probe.records import Row, Table
from bapa.probe.source import Columns
from bapa.probe.tile import Tile

CATEGORIES = ("Animals & Nature", "Food & Drink", "Objects", "Travel & Places", "Activities")
CELL = 64  # side of the drawings, px
INSTALL = "npm install emoji-datasource-google"
_PACKAGE = "emoji-datasource-*"
_RELATION = re.compile(r" (?:with|without|of|and|behind|on|under|in) ")


@dataclass(frozen=True)
class Thing:
    """``code``: its Unicode code points. ``caption``: with an article. ``group``: its subcategory, e.g.
    animal-bird; its category in packages that know no subcategories.
    """

    code: str
    caption: str
    group: str
    picture: Path


def things(package: Path) -> list[Thing]:
    """The things that a package draws, in its own order: animals, food, objects, travel and activities.

    Faces, people, symbols and flags are left out, and clock faces, which differ by what time it is.

    Raises:
        ProbeError: the folder is not such a package, or it lacks its pictures.
    """
    hand = package.resolve().name.removeprefix("emoji-datasource-")
    try:
        listed = json.loads((package / "emoji.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ProbeError(f"{package}: no readable emoji.json ({error}); install the package: {INSTALL}") from None
    drawn = package / "img" / hand / str(CELL)
    if not drawn.is_dir():
        raise ProbeError(f"{package}: no folder {drawn.relative_to(package)} with pictures; install it: {INSTALL}")
    found = []
    for entry in listed:
        name = str(entry.get("name") or entry["short_name"].replace("_", " "))
        usable = entry["category"] in CATEGORIES and entry.get(f"has_img_{hand}") and not name.startswith("CLOCK FACE")
        if usable:
            found.append(
                Thing(
                    entry["unified"],
                    caption(name),
                    entry.get("subcategory") or entry["category"],
                    drawn / entry["image"],
                )
            )
    return found


def caption(name: str) -> str:
    """A Unicode name as a person says it: ``"EAR OF MAIZE"`` is ``"an ear of maize"``, ``"GRAPES"`` is ``"grapes"``."""
    words = " ".join(name.lower().replace("\u2019", "'").split())
    head = _RELATION.split(words)[0].split()[-1]
    if head.endswith("s") and not head.endswith(("ss", "us", "is")):
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


class Emoji(Table):
    """The drawings of one package; near misses are things of the same subcategory."""

    kind = "emoji"

    def __init__(self, package: Path | None, design: Design) -> None:
        super().__init__(Columns(group="group"), design)
        self.package = package or _installed()
        self.name = self.package.resolve().name
        self.things = things(self.package)

    @staticmethod
    def recognise(path: Path) -> bool:
        """Whether the folder is such a package."""
        return (path / "emoji.json").is_file()

    def __len__(self) -> int:
        return len(self.things)

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name}

    def row(self, index: int) -> tuple[str, Row]:
        thing = self.things[index]
        return f"{self.name} {thing.code}", {"caption": thing.caption, "group": thing.group, "image": thing.picture}

    def picture(self, row: Row) -> Path | bytes:
        return Path(row["image"])

    def backdrops(self, design: Design) -> Iterator[Tile]:
        return backdrops(design) if design.kind in ("scene", "crop") else iter(())

    def filled(self, design: Design) -> Design:
        return super().filled(design.filled(cell=CELL))


def _installed() -> Path:
    """The one package of drawings in ``node_modules``."""
    found = sorted(Path("node_modules").glob(_PACKAGE))
    if len(found) != 1:
        names = ", ".join(map(str, found)) or "none"
        raise ConfigError(
            f"packages of drawings in node_modules: {names}; name the folder of one in place of emoji, e.g. "
            f"node_modules/emoji-datasource-google (install it: {INSTALL})"
        )
    return found[0]
