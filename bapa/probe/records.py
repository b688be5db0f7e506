"""Sources with one picture a row: a folder with its metadata, a parquet file, a Hugging Face data set."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import repeat
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bapa.errors import ProbeError
from bapa.probe.compose import Pixels
from bapa.probe.design import PROMPTS, Design
from bapa.probe.source import Columns, pool_size
from bapa.probe.tile import LeftOut, Tile

Row = Mapping[str, Any]
METADATA = ("metadata.jsonl", "metadata.csv")
EXAMPLE = '{"file_name": "a.jpg", "caption": "a cat"}'
_HUB_NAME = re.compile(r"\w[\w.-]*(/[\w.-]+)?(:[\w.-]+)?")
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
_BATCH = 64  # pictures in memory at a time


class UnusableError(Exception):
    """Why one row cannot become a tile; caught here and listed."""


def read_picture(data: Path | bytes, side: int) -> Pixels:
    """A picture scaled to fit a square of ``side`` pixels, uint8 (height, width, 3), upright, transparency on white.

    Raises:
        UnusableError: it cannot be read.
    """
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as picture:
            picture.draft("RGB", (2 * side, 2 * side))  # lets JPEG decode a large picture at a fraction of its size
            upright = ImageOps.exif_transpose(picture)
            if upright.has_transparency_data:
                upright = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
            fitted = ImageOps.contain(upright.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
    except FileNotFoundError:
        raise UnusableError("no such file") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow's readers raise
        reason = "unknown format" if isinstance(error, UnidentifiedImageError) else error
        raise UnusableError(f"not a readable picture: {reason}") from None
    return np.asarray(fitted)


def inside(folder: Path, name: str) -> Path:
    """The file ``name`` of ``folder``; UnusableError if the name leads out of it."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise UnusableError("leads out of its folder")
    return folder / name


class Table(ABC):
    """One picture a row, visited in an order drawn from the seed and decoded by as many threads as there are cores."""

    kind: str
    name: str

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.group = "group" if columns.group else None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def row(self, index: int) -> tuple[str, Row]:
        """How to call row ``index`` in messages, and its columns."""

    @abstractmethod
    def picture(self, row: Row) -> Path | bytes:
        """The encoded picture of a row; UnusableError if it has none."""

    @abstractmethod
    def stamp(self) -> str:
        """Changes when the pictures or captions do."""

    def filled(self, design: Design) -> Design:
        return design.filled(cell=280, background="white", prompts=(PROMPTS[design.task],))

    def wanted(self, design: Design) -> int:
        return len(self) if design.items is None else pool_size(design.items, design)

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "columns": asdict(self.columns), "stamp": self.stamp()}

    def tiles(self, design: Design) -> Iterator[Tile | LeftOut]:
        order = np.random.default_rng(design.seed).permutation(len(self)).tolist()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(order), _BATCH):
                names, rows = zip(*map(self.row, order[start : start + _BATCH]), strict=True)
                yield from pool.map(self._tile, names, rows, repeat(design))

    def _tile(self, where: str, row: Row, design: Design) -> Tile | LeftOut:
        wanted = {"group": self.columns.group}
        if design.task == "vqa":
            wanted |= {"question": self.columns.question, "answer": self.columns.answer}
        try:
            caption = _text(row, self.columns.caption)
            attributes = {attribute: _text(row, column) for attribute, column in wanted.items() if column}
            return Tile(read_picture(self.picture(row), design.cell or 0), caption, where, attributes)
        except UnusableError as why:
            return LeftOut(where, str(why))


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    text = "" if value is None else str(value).strip()
    if not text:
        raise UnusableError(f"no {column}")
    return text


class Folder(Table):
    """A folder of pictures with ``metadata.jsonl`` or ``metadata.csv`` (the ImageFolder convention of ``datasets``)."""

    kind = "folder"

    def __init__(self, folder: Path, columns: Columns) -> None:
        super().__init__(columns)
        self.folder = folder
        self.name = folder.resolve().name
        self.metadata = next(folder / name for name in METADATA if (folder / name).is_file())
        self.rows = read_jsonl(self.metadata) if self.metadata.suffix == ".jsonl" else _read_csv(self.metadata)
        self.column = columns.image or "file_name"
        named = {str(row.get(self.column)) for row in self.rows}
        pictures = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
        found = sorted(path.relative_to(folder).as_posix() for path in pictures)
        self.rows += [{self.column: name} for name in found if name not in named]  # to be listed: they have no caption

    @staticmethod
    def recognise(folder: Path) -> bool:
        """Whether there is metadata in the folder."""
        return any((folder / name).is_file() for name in METADATA)

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> tuple[str, Row]:
        row = self.rows[index]
        name = row.get(self.column)
        return f"{self.name}/{name}" if name else f"{self.name}/{self.metadata.name}, row {index + 1}", row

    def picture(self, row: Row) -> Path | bytes:
        return inside(self.folder, _text(row, self.column))

    def stamp(self) -> str:
        digest = hashlib.sha256(self.metadata.read_bytes())
        for row in self.rows:
            path = self.folder / str(row.get(self.column))
            digest.update(f"{row.get(self.column)}:{path.stat().st_size if path.is_file() else None}\n".encode())
        return digest.hexdigest()


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines; ProbeError names a line that holds none."""
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ProbeError(f"{path}, line {number}: not JSON ({error})") from None
            if not isinstance(row, dict):
                raise ProbeError(f"{path}, line {number}: expected an object such as {EXAMPLE}")
            rows.append(row)
    return rows


def _read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


class Dataset(Table):
    """A data set that ``datasets`` can open: parquet, saved to disk, or on the hub."""

    kind = "dataset"

    def __init__(self, name: str, data: Any, folder: Path, columns: Columns) -> None:
        import datasets

        super().__init__(columns)
        self.name, self.folder = name, folder
        self.column = columns.image or "image"
        for option, column in (("image", self.column), ("caption", columns.caption), ("group", columns.group)):
            if column and column not in data.column_names:
                raise ProbeError(
                    f"{name} has no column {column!r}, its columns: {', '.join(data.column_names)}; "
                    f"name the right one: --{option}-column NAME"
                )
        if isinstance(data.features[self.column], datasets.Image):
            # Decoding is ours, so that a bad picture costs that picture only.
            data = data.cast_column(self.column, datasets.Image(decode=False))
        self.data = data
        self.labels = {key: label for key, label in data.features.items() if isinstance(label, datasets.ClassLabel)}

    def __len__(self) -> int:
        return len(self.data)

    def row(self, index: int) -> tuple[str, Row]:
        row = self.data[index]
        named = {key: label.int2str(row[key]) for key, label in self.labels.items() if row[key] is not None}
        return f"{self.name}, row {index}", {**row, **named}

    def picture(self, row: Row) -> Path | bytes:
        value = row[self.column]
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            # A path of the data set's own cache is absolute; one that a row spells out must stay beside the data.
            return Path(value) if isinstance(row[self.column], dict) else inside(self.folder, value)
        raise UnusableError(f"no {self.column}")

    def stamp(self) -> str:
        return f"{len(self.data)} rows, {self.data.split}, version {self.data.version}"


def open_dataset(source: str, columns: Columns, split: str) -> Dataset:
    """A parquet file, a data set saved on disk, or one of the hub (``owner/name`` or ``owner/name:config``).

    Raises:
        ProbeError: nothing of that name, or it lacks a column.
    """
    import datasets

    path = Path(source)
    if path.is_dir() and any(file.suffix.lower() in _SUFFIXES for file in path.iterdir()):
        raise ProbeError(f"{path} has pictures but no metadata.jsonl; write one with a line like {EXAMPLE} for each")
    accepted = "accepted are 'digits', a folder with metadata.jsonl, a parquet file or a data set of the hub"
    if not path.exists() and not _HUB_NAME.fullmatch(source):
        raise ProbeError(f"there is no {source!r}; {accepted}")
    try:
        if path.suffix == ".parquet" and path.is_file():
            data = datasets.load_dataset("parquet", data_files={split: str(path)}, split=split)
        elif (path / "dataset_dict.json").is_file():
            data = datasets.load_from_disk(str(path))[split]
        elif (path / "state.json").is_file():
            data = datasets.load_from_disk(str(path))
        elif path.exists():
            data = datasets.load_dataset(source, split=split)
        else:
            name, _, config = source.partition(":")
            data = datasets.load_dataset(name, config or None, split=split)
    except (OSError, ValueError, KeyError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ProbeError(f"cannot open {source!r} ({reason}); {accepted}") from None
    return Dataset(path.name if path.exists() else source, data, path.parent if path.is_file() else path, columns)
