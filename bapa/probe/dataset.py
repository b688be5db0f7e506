"""Data sets that ``datasets`` can open: parquet, saved to disk, or on the hub."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import datasets
from huggingface_hub.constants import HF_HUB_CACHE

from bapa.errors import ConfigError, ProbeError
from bapa.probe.design import Design
from bapa.probe.lines import EXAMPLE
from bapa.probe.names import SUFFIXES, find
from bapa.probe.picture import UnusableError
from bapa.probe.records import Row, Table
from bapa.probe.source import Columns
from bapa.probe.taken import TRAIN
from bapa.probe.words import shown

_HUB_NAME = re.compile(r"\w[\w.-]*(/[\w.-]+)?(:[\w.-]+)?")
_CHUNK = 2**20  # bytes of a file hashed at a time


class Dataset(Table):
    """A data set that ``datasets`` has opened."""

    kind = "dataset"

    def __init__(self, name: str, data: datasets.Dataset, folder: Path, columns: Columns, design: Design) -> None:
        super().__init__(columns, design)
        self.name, self.folder = name, folder
        self.column = columns.image or "image"
        self.wanted_columns = {"image": self.column, **self.wanted_columns}
        self._check_columns(data.column_names)
        del self.wanted_columns["image"]
        self.data = undecoded(data, self.column)
        self.labels = {name: label for name, label in data.features.items() if isinstance(label, datasets.ClassLabel)}

    def __len__(self) -> int:
        return len(self.data)

    def row(self, index: int) -> tuple[str, Row]:
        row = self.data[index]
        named = {name: label.int2str(row[name]) for name, label in self.labels.items() if row[name] is not None}
        return f"{self.name}, row {index}", {**row, **named}

    def picture(self, row: Row) -> Path | bytes:
        return encoded(row[self.column], self.folder)


def undecoded(data: datasets.Dataset, column: str) -> datasets.Dataset:
    """``data`` with the pictures of ``column`` as they are stored, so that a bad one costs that picture only."""
    feature = data.features[column]
    if isinstance(feature, datasets.Image):
        return data.cast_column(column, datasets.Image(decode=False))
    inner = getattr(feature, "feature", None)
    if isinstance(inner, datasets.Image):
        return data.cast_column(column, type(feature)(datasets.Image(decode=False)))
    return data


def encoded(value: Any, folder: Path) -> Path | bytes:
    """The picture in a cell: its bytes, or the file that a path beside the data names.

    Raises:
        UnusableError: it holds none, or a path leads out of ``folder``. Of the files that ``datasets`` has fetched
            itself, absolute paths are taken.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes) and value:
        return value
    if isinstance(value, str) and value:
        path = Path(value)
        own = (folder, Path(HF_HUB_CACHE), Path(datasets.config.HF_DATASETS_CACHE))
        if path.is_absolute() and any(path.resolve().is_relative_to(root.resolve()) for root in own):
            return path
        return find(folder, value)
    raise UnusableError("no picture" if not value else f"no picture but {shown(value)}")


def open_table(source: str, split: str, accepted: str) -> datasets.Dataset:
    """A parquet file, a data set saved on disk, or one of the hub (``owner/name`` or ``owner/name:config``).

    ``accepted``: what else the caller reads, for the message.

    Raises:
        ProbeError: it cannot be opened, or has no such split.
        ConfigError: a split is named, and it has none.
    """
    if not source.strip():
        raise ProbeError(f"the source of the pictures is empty; name {accepted}, or a data set")
    path = Path(source)
    try:
        whole = path.is_file() or (path / "state.json").is_file()
        if split != TRAIN and whole:
            raise ConfigError(f"{source} holds one table and no splits: drop --split {split}")
        if path.suffix == ".parquet" and path.is_file():
            files = {split: str(path)}
            return datasets.load_dataset("parquet", data_files=files, split=split, cache_dir=_cache(path))
        if (path / "dataset_dict.json").is_file():
            saved = datasets.load_from_disk(str(path))
            if split not in saved:
                raise _no_split(source, split, list(saved))
            return saved[split]
        if (path / "state.json").is_file():
            return datasets.load_from_disk(str(path))
        name, _, config = (source, "", "") if path.exists() else source.partition(":")
        try:
            return datasets.load_dataset(name, config or None, split=split, cache_dir=_cache(path))
        except ValueError as error:
            if "split" not in str(error):
                raise
            there = datasets.get_dataset_split_names(name, config or None)
            if split in there:
                raise
            raise _no_split(source, split, there) from None
    except IndexError:  # what datasets raises where a saved one has no rows
        raise ProbeError(f"{source!r} holds no rows; {accepted}") from None
    except (OSError, ValueError, KeyError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ProbeError(f"cannot open {source!r} ({reason}); {accepted}") from None


def _no_split(source: str, split: str, there: list[str]) -> ProbeError:
    return ProbeError(f"{source} has no split {split!r}, it has {', '.join(there)}; name one: --split NAME")


def _cache(path: Path) -> str | None:
    """Where ``datasets`` is to keep what it reads from a file or folder: a place for its content, as it would take a
    file for unchanged that has the time of an older one. None for data sets of the hub, which have versions.
    """
    if not path.exists():
        return None
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode(errors="surrogateescape"))
            with file.open("rb") as content:
                while chunk := content.read(_CHUNK):
                    digest.update(chunk)
    return str(Path(datasets.config.HF_DATASETS_CACHE) / "bapa" / digest.hexdigest())


def open_dataset(source: str, columns: Columns, design: Design, split: str) -> Dataset:
    """The data set that ``source`` names.

    Raises:
        ProbeError: nothing of that name, or it lacks a column.
    """
    path = Path(source)
    if (path / "probe.json").is_file():
        raise ProbeError(
            f"{path} is a probe, which was built from pictures; name a folder with the pictures themselves and a "
            "metadata.jsonl, or digits"
        )
    if path.is_dir() and any(file.suffix.lower() in SUFFIXES for file in path.iterdir()):
        raise ProbeError(f"{path} has pictures but no metadata.jsonl; write one with a line like {EXAMPLE} for each")
    accepted = "accepted are 'digits', a folder with metadata.jsonl, a parquet file or a data set of the hub"
    if not path.exists() and not _HUB_NAME.fullmatch(source):
        raise ProbeError(f"there is no {source!r}; {accepted}")
    name = path.name if path.exists() else source
    data = open_table(source, split, accepted)
    return Dataset(name, data, path.parent if path.is_file() else path, columns, design)
