"""Ready-made canvases as a source: the layout of the probe released with arXiv 2509.21984.

A file of JSON lines with ``image``, ``caption`` and ``position`` beside the pictures (or their folder ``images``):
3 x 3 canvases, the nine of a group named ``GROUP_0`` to ``GROUP_8``, the target at ``position`` and the other eight in
an order that does not change. Each group is cut into its nine tiles, so that every placement can be had from it;
``placement="insertion"`` gives the canvases back, up to the loss of their own JPEG files.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bapa.errors import ConfigError, ProbeError
from bapa.probe.compose import Pixels
from bapa.probe.design import Design
from bapa.probe.lines import read_jsonl, read_text
from bapa.probe.names import find
from bapa.probe.picture import UnusableError, read, read_picture
from bapa.probe.tile import LeftOut, Tile
from bapa.probe.wording import standard
from bapa.probe.words import check_caption, texts

# The names of the nine positions, row by row.
POSITIONS = (
    *("top_left", "top_center", "top_right"),
    *("left", "center", "right"),
    *("bottom_left", "bottom_center", "bottom_right"),
)
_SIDE = 3
_NOISE = 12.0  # mean difference in grey levels up to which two JPEG copies count as the same picture


def recognise(path: Path) -> bool:
    """Whether a file holds such lines."""
    if path.suffix not in (".json", ".jsonl") or not path.is_file():
        return False
    try:
        first = json.loads(read_text(path).lstrip().partition("\n")[0])
    except ValueError:
        return False
    return isinstance(first, dict) and {"image", "caption", "position"} <= first.keys()


class Canvases:
    """Groups of canvases, each given back as nine tiles: the target with its caption, then the others without."""

    group: str | None = None
    read = 0

    def __init__(self, path: Path, design: Design) -> None:
        if (design.rows, design.cols, design.task == "vqa") != (_SIDE, _SIDE, False):
            raise ConfigError(
                f"{path} holds 3 x 3 canvases without questions of their own: drop --rows, --cols and vqa"
            )
        if design.kind in ("page", "scene", "crop") or design.places.varied:
            raise ConfigError(
                f"{path} holds ready-made canvases, whose pictures have no captions of their own: drop --slots"
            )
        if design.lures == "cell" or design.distractors == "similar" or design.background == "natural":
            raise ConfigError(
                f"{path} holds ready-made canvases, whose other pictures have no captions and stay as they are: drop "
                "--lures cell, --distractors similar and --background natural"
            )
        self.path = path
        self.folder = path.parent / "images" if (path.parent / "images").is_dir() else path.parent
        self.groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for _, row in read_jsonl(path):
            if row.get("answer") != "No":  # absent captions are drawn anew
                self.groups[str(row.get("image")).rpartition("_")[0]].append(row)
        if not self.groups:
            raise ProbeError(
                f"every row of {path} has the answer No, so no canvas shows what its caption says; name a file that "
                "also holds rows about what is there"
            )

    def filled(self, design: Design) -> Design:
        name = str(next(iter(self.groups.values()))[0].get("image"))
        try:
            side = read(find(self.folder, name)).width // _SIDE
        except UnusableError as error:
            raise ProbeError(f"{self.path}: its first canvas {name} cannot be opened ({error})") from None
        if design.cell not in (None, side):
            raise ConfigError(f"the canvases of {self.path} have cells of {side} px, {design.cell} asked: drop --cell")
        return design.filled(
            cell=side, background="white", lures="canvas", prompts=(standard(design.task, design.kind, design.answers),)
        )

    def wanted(self, design: Design) -> int:
        return _SIDE**2 * min(design.items or len(self.groups), len(self.groups))

    def describe(self) -> dict[str, Any]:
        return {"kind": "canvases", "name": self.path.name}

    def stamp(self, design: Design, read: int) -> str:
        digest = hashlib.sha256(self.path.read_bytes())
        for name in self._order(design)[:read]:
            for row in self._ends(name):
                try:
                    digest.update(find(self.folder, str(row.get("image"))).read_bytes())
                except (UnusableError, OSError):
                    digest.update(b"-")
        return digest.hexdigest()

    def backdrops(self, design: Design) -> Iterator[Tile]:
        return iter(())

    def tiles(self, design: Design) -> Iterator[Tile | LeftOut]:
        seen: dict[str, str] = {}  # by picture of a target: its group
        for number, name in enumerate(self._order(design), 1):
            self.read = number
            try:
                cut = self._cut(name, design)
                if twin := seen.get(cut[0].digest):
                    raise UnusableError(f"its target is the same picture as that of group {twin}")
                seen[cut[0].digest] = name
                yield from cut
            except UnusableError as why:
                yield LeftOut(f"{self.path.name}, group {name}", str(why))

    def _order(self, design: Design) -> list[str]:
        names = list(self.groups)
        return [names[index] for index in np.random.default_rng(design.seed).permutation(len(names)).tolist()]

    def _ends(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The first and the last canvas of a group: those that are read."""
        return self.groups[name][0], self.groups[name][-1]

    def _cut(self, name: str, design: Design) -> list[Tile]:
        """The nine tiles of a group, after a look whether its first and last canvas hold the same pictures."""
        first, last = self._ends(name)
        try:
            caption, *also = texts(first.get("caption")) or [""]
        except UnusableError as why:
            raise UnusableError(f"its caption {why}") from None
        if not caption:
            raise UnusableError("no caption")
        check_caption(caption, design.task)
        cell = design.cell or 0
        tiles, again = self._pictures(first, cell), self._pictures(last, cell)
        if any(np.abs(a.astype(int) - b).mean() > _NOISE for a, b in zip(tiles, again, strict=True)):
            raise UnusableError("its canvases do not show the same nine pictures in insertion order")
        return [
            Tile(
                tile,
                caption if number == 0 else "",
                f"{name}, tile {number}",
                {"scene": name},
                () if number else tuple(also),
            )
            for number, tile in enumerate(tiles)
        ]

    def _pictures(self, row: dict[str, Any], cell: int) -> Sequence[Pixels]:
        """The nine pictures of a canvas, the target first, the others row by row."""
        if row.get("position") not in POSITIONS:
            raise UnusableError(f"position {row.get('position')!r} is none of {', '.join(POSITIONS)}")
        canvas = read_picture(find(self.folder, str(row.get("image"))), _SIDE * cell)
        if canvas.shape[:2] != (_SIDE * cell, _SIDE * cell):
            raise UnusableError(
                f"a canvas of {canvas.shape[1]} x {canvas.shape[0]} px, not {_SIDE * cell} x {_SIDE * cell}"
            )
        pictures = list(canvas.reshape(_SIDE, cell, _SIDE, cell, 3).swapaxes(1, 2).reshape(-1, cell, cell, 3))
        return [pictures.pop(POSITIONS.index(row["position"])), *pictures]
