"""A probe on disk.

``probe.json``     design, source, counts, fingerprint
``items.parquet``  one row per item: its tiles, where the target is at home, the captions it is asked about
``tiles.parquet``  one row per picture: PNG bytes at the size it has in a cell, caption, attributes
"""

from __future__ import annotations

import hashlib
import io
import json
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from bapa.errors import ConfigError, ProbeError
from bapa.probe.compose import Pixels, compose, ground, scaled
from bapa.probe.design import Design
from bapa.probe.item import ITEMS, Item, Items
from bapa.probe.placement import EMPTY, arrange
from bapa.probe.questions import Question, ask
from bapa.probe.slots import Slots
from bapa.probe.tile import LeftOut

VERSION = 2
MANIFEST = "probe.json"
_NEEDED = ("design", "source", "colour", "tiles", "tiles_sha256", "left_out", "fingerprint")  # of the manifest
_CACHE_BYTES = 256 * 2**20  # decoded tiles kept in memory, whatever the size of the probe


class Probe:
    """A saved probe.

    ``design`` says what it looks like and asks, ``source`` where its pictures come from, ``given`` how that was named
    (``source``, and ``split`` where it is not the usual one), ``left_out`` which of them it does without, ``tiles`` how
    many it has; ``fingerprint`` is that of :func:`fingerprint`. ``items``: those that are asked about; ``whole``: all
    of the folder's, of which they may be a part.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], items: Items) -> None:
        self.path = path
        self.items = self.whole = items
        # Probes of older versions do not say what their near misses were like.
        self.design = Design(**{"lures": "canvas", **manifest["design"]})
        self.source: dict[str, Any] = manifest["source"]
        self.given: dict[str, str] = manifest.get("given", {})
        self.colour: tuple[int, int, int] = tuple(manifest["colour"])
        self.tiles: int = manifest["tiles"]
        self.left_out = [LeftOut(**entry) for entry in manifest["left_out"]]
        self.fingerprint: str = manifest["fingerprint"]
        self._reader = pq.ParquetFile(path / "tiles.parquet", memory_map=True)
        self._lock = Lock()
        self._ground = ground(self.height, self.width, self.colour)
        height, width = self.design.backdrop if self.slots.kind == "crop" else (self.cell_px, self.cell_px)
        self.tile = lru_cache(max(_CACHE_BYTES // (3 * height * width), 2 * self.cells))(self._decode)

    @classmethod
    def load(cls, path: str | Path) -> Probe:
        """The probe in a folder.

        Raises:
            ProbeError: there is none, it is damaged, it was made by another version, or it was changed since.
        """
        path = Path(path)
        try:
            manifest = json.loads((path / MANIFEST).read_text("utf-8"))
            if not isinstance(manifest, dict):
                raise ValueError(f"{MANIFEST} is not a JSON object")
            for name in ("items.parquet", "tiles.parquet"):
                (path / name).stat()  # pyarrow does not name what is missing
                pq.read_metadata(path / name)  # whole up to its end
            table = pq.read_table(path / "items.parquet", schema=ITEMS)
        except FileNotFoundError as error:
            raise ProbeError(
                f"no probe in {path} ({Path(error.filename).name} is missing); make one: bapa probe SOURCE --out {path}"
            ) from None
        except (ValueError, OSError) as error:  # pyarrow's errors are ValueErrors
            raise ProbeError(
                f"the probe in {path} cannot be read: {error}; make it again: bapa probe SOURCE --out FOLDER"
            ) from None
        if manifest.get("version") != VERSION:
            raise ProbeError(
                f"{path} holds a probe of version {manifest.get('version')}, this bapa reads {VERSION}; make it again"
            )
        if lacking := [name for name in _NEEDED if name not in manifest]:
            raise ProbeError(
                f"the probe in {path} cannot be read: {MANIFEST} does not tell its {', '.join(lacking)}; make it "
                "again: bapa probe SOURCE --out FOLDER"
            )
        items = Items(table)
        if fingerprint(manifest, items) != manifest["fingerprint"]:
            raise ProbeError(
                f"the probe in {path} was changed after it was made (its fingerprint does not fit); make it again"
            )
        return cls(path, manifest, items)

    def __reduce__(self) -> tuple[Any, ...]:
        return Probe.load, (self.path,)

    @property
    def rows(self) -> int:
        """Rows of cells."""
        return self.design.rows

    @property
    def cols(self) -> int:
        """Columns of cells."""
        return self.design.cols

    @property
    def cells(self) -> int:
        """Number of cells; cell ``row * cols + col`` stands in that row and column, counted from the top left."""
        return self.design.cells

    @property
    def slots(self) -> Slots:
        """Where the target may stand."""
        return self.design.places

    @property
    def cell_px(self) -> int:
        """Width of a cell in pixels; but for regions of a page, its height too."""
        if self.design.cell is None:
            raise ProbeError(f"the probe in {self.path} names no cell size; make it again")
        return self.design.cell

    @property
    def height(self) -> int:
        """Height of a canvas in pixels."""
        return self.design.canvas[0]

    @property
    def width(self) -> int:
        """Width of a canvas in pixels."""
        return self.design.canvas[1]

    def compose(self, item: Item, cell: int) -> Pixels:
        """The canvas of ``item`` with its target at ``cell``, uint8 (height, width, 3). Images and frames stand side by
        side on it; :meth:`cut` takes them apart.

        All questions about the item in that cell are about this canvas, absent ones too.
        """
        if self.slots.kind == "crop" and self.tile(item.target).shape[:2] == self.design.backdrop:
            return self._behind(self.tile(item.target), cell).copy()  # it stands in its own photograph
        canvas = self._ground if item.background is None else self._behind(self.tile(item.background), cell)
        if self.slots.varied:
            tile, (wide, high) = self.tile(item.target), self.slots.scale(cell)
            size = (max(1, round(tile.shape[1] * wide)), max(1, round(tile.shape[0] * high)))
            return compose(canvas, [scaled(tile, *size)], 1, self.cell_px)
        layout = arrange(item.layout, item.home, cell, self.design.placement)
        return compose(
            canvas,
            (None if tile == EMPTY else self.tile(tile) for tile in layout),
            self.cols,
            self.cell_px,
            self.design.tall,
        )

    def _behind(self, picture: Pixels, cell: int) -> Pixels:
        """What stands behind a target at ``cell``: a picture, or a window of it, so that what surrounds the target is
        the same in every cell.
        """
        row, col = divmod(cell, self.cols)
        top = (self.rows - 1 - row) * self.design.tall if self.slots.kind == "crop" else 0
        left = (self.cols - 1 - col) * self.cell_px if self.slots.kind == "crop" else 0
        return picture[top : top + self.height, left : left + self.width]

    def cut(self, canvas: Pixels) -> list[Pixels]:
        """The pictures that a model is shown: the canvas, or the images or frames that stand on it."""
        return list(np.split(canvas, self.cols, 1)) if self.slots.apart else [canvas]

    def needs_questions(self, why: str) -> None:
        """Say beforehand that something cannot be done where a model is not asked a question but what it sees.

        Raises:
            ConfigError: the task is ``name``. ``why``: what needs questions, and what for.
        """
        if self.design.task == "name":
            raise ConfigError(
                f"the probe in {self.path} asks for names, and {why}; take a probe that asks by yes and no: "
                "bapa probe SOURCE --task match"
            )

    def needs_choices(self, why: str, instead: str = "take one with choices: bapa probe SOURCE --task match") -> None:
        """Say beforehand that something cannot be done where answers are written freely.

        Raises:
            ConfigError: the task is ``vqa`` or ``point``. ``why``: what needs choices, and what for; ``instead``: what
                to do.
        """
        if self.design.written:
            raise ConfigError(
                f"the probe in {self.path}, of task {self.design.task}, is answered in writing, and {why}; {instead}"
            )

    def needs_one_picture(self, why: str) -> None:
        """Say beforehand that something cannot be done where the slots are pictures of their own.

        Raises:
            ConfigError: they are. ``why``: what needs them in one picture, and what for.
        """
        if self.slots.apart:
            of = "prompt" if self.slots.kind == "images" else "clip"
            raise ConfigError(
                f"the slots of the probe in {self.path} are {self.slots.words} of one {of}, and {why}; take a probe "
                "whose slots lie in one picture: bapa probe SOURCE --slots grid (or page, scene, crop)"
            )

    def questions(self, item: Item, cell: int) -> list[Question]:
        """What is asked about the canvas of ``item`` with its target at ``cell``."""
        return ask(item, cell, self.design)

    def attributes(self, tile: int) -> dict[str, str]:
        """What the source says about a tile beside its caption, e.g. ``digit`` and ``colour``."""
        with self._lock:
            told = self._reader.read_row_group(tile, columns=["attributes"])
        return json.loads(told["attributes"][0].as_py())

    def unit(self, item: Item) -> dict[str, str]:
        """What other items may share with ``item``: its ``caption``, and as far as the source names them, ``group``
        (its class) and ``picture`` (what its target was made from).
        """
        told = self.attributes(item.target)
        shared = {
            "caption": item.caption,
            "group": told.get("group", told.get("digit", "")),
            "picture": told.get("picture", told.get("scan", "")),
        }
        return {name: value for name, value in shared.items() if value}

    def _decode(self, tile: int) -> Pixels:
        with self._lock:  # a parquet reader serves one thread at a time
            png = self._reader.read_row_group(tile, columns=["image.bytes"])
        image = Image.open(io.BytesIO(png["image"].combine_chunks().field("bytes")[0].as_buffer()))
        return np.asarray(image.convert("RGB") if image.mode == "L" else image)


def fingerprint(manifest: dict[str, Any], items: Items) -> str:
    """SHA-256 of all that decides pixels and questions: design, ground colour, tiles, items.

    Where the pictures came from does not count.
    """
    digest = hashlib.sha256()
    decisive = {name: manifest[name] for name in ("version", "design", "colour", "tiles", "tiles_sha256")}
    for part in (decisive, *items.table.to_pylist()):
        digest.update(json.dumps(part, sort_keys=True).encode())
    return digest.hexdigest()
