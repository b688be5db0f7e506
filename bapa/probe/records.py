"""Sources with one picture a row; of these, a folder of pictures with its metadata."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np

from bapa.errors import ConfigError, ProbeError
from bapa.probe.design import Design
from bapa.probe.lines import read_csv, read_jsonl
from bapa.probe.names import find, pictures, plain_name, printable
from bapa.probe.picture import UnusableError, read_around, read_picture
from bapa.probe.source import Columns, pool_size
from bapa.probe.tile import LeftOut, Tile, caption_key
from bapa.probe.wording import standard
from bapa.probe.words import check_caption, shown, texts

Row = Mapping[str | None, Any]
METADATA = ("metadata.jsonl", "metadata.csv")
_BATCH = 64  # pictures in memory at a time
_NAMED = 3  # names in a message


class Table(ABC):
    """One picture a row, visited in an order drawn from the seed and decoded by as many threads as there are cores."""

    kind: str
    name: str

    def __init__(self, columns: Columns, design: Design) -> None:
        self.columns = columns
        self.group = "group" if columns.group else None
        self.read = 0
        self.wanted_columns = {"caption": columns.caption}  # what a tile says: in which column it stands
        if columns.group:
            self.wanted_columns["group"] = columns.group
        if columns.box:
            if design.kind != "crop":
                raise ConfigError(f"column {columns.box!r} tells where targets stand, which --slots crop is about")
            self.wanted_columns["box"] = columns.box
        if design.task == "vqa":
            self.wanted_columns |= {"question": columns.question, "answer": columns.answer}

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def row(self, index: int) -> tuple[str, Row]:
        """How to call row ``index`` in messages, and its columns."""

    @abstractmethod
    def picture(self, row: Row) -> Path | bytes:
        """The encoded picture of a row; UnusableError if it has none."""

    def beside(self, row: Row) -> Sequence[Row]:
        """Further rows about the picture of a row, each of which gives a target of its own."""
        return ()

    def origin(self, row: Row) -> dict[str, str]:
        """The attribute ``picture``, where several targets stand in one."""
        return {}

    def filled(self, design: Design) -> Design:
        if design.items and design.items > len(self):
            raise ProbeError(
                f"{design.items} items asked, the source has {len(self)} pictures; ask for fewer: --items {len(self)}"
            )
        return design.filled(
            cell=280, background="white", prompts=(standard(design.task, design.kind, design.answers),)
        )

    def wanted(self, design: Design) -> int:
        return len(self) if design.items is None else pool_size(design.items, design)

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "columns": asdict(self.columns)}

    def stamp(self, design: Design, read: int) -> str:
        digest = hashlib.sha256(f"{len(self)} rows".encode())
        for index in self._order(design)[:read]:
            where, row = self.row(index)
            said = [where, *(repr(row.get(column)) for column in self.wanted_columns.values())]
            said += [repr(other.get(self.columns.caption)) for other in self.beside(row)]
            digest.update(json.dumps(said).encode())
            digest.update(self._encoded(row))
        return digest.hexdigest()

    def backdrops(self, design: Design) -> Iterator[Tile]:
        return iter(())

    def tiles(self, design: Design) -> Iterator[Tile | LeftOut]:
        order = self._order(design)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(order), _BATCH):
                names, rows = zip(*map(self.row, order[start : start + _BATCH]), strict=True)
                self.read = start + len(rows)
                yield from pool.map(self._tile, names, rows, repeat(design))

    def _order(self, design: Design) -> list[int]:
        return np.random.default_rng(design.seed).permutation(len(self)).tolist()

    def _encoded(self, row: Row) -> bytes:
        """The picture of a row before it is decoded; nothing where there is none."""
        try:
            picture = self.picture(row)
            return picture if isinstance(picture, bytes) else picture.read_bytes()
        except (UnusableError, OSError):
            return b""

    def _tile(self, where: str, row: Row, design: Design) -> Tile | LeftOut:
        try:
            if None in row:
                more = f"{len(row[None])} field{'s' * (len(row[None]) > 1)}"
                raise UnusableError(f"{more} more than the first line has; put text that holds a comma in quotes")
            spoken = {name: column for name, column in self.wanted_columns.items() if name != "box"}
            said = {name: self._said(row, column) for name, column in spoken.items()}
            caption, *also = said.pop("caption")
            check_caption(caption, design.task)
            first = {name: values[0] for name, values in said.items()} | self.origin(row)
            also += self._said_beside(row, caption)
            if self.columns.box:
                around = read_around(self.picture(row), row.get(self.columns.box), design.cell or 0, design.backdrop)
                return Tile(around, caption, where, first, tuple(also))
            picture = read_picture(self.picture(row), design.cell or 0, clear=design.kind in ("scene", "crop"))
            return Tile(picture, caption, where, first, tuple(also))
        except UnusableError as why:
            return LeftOut(where, str(why))

    def _said_beside(self, row: Row, caption: str) -> list[str]:
        """What further rows say of the same picture: true of what is shown, so none of it is asked about as absent.

        UnusableError where one says ``caption`` of another box: either would be a right answer.
        """
        found: list[str] = []
        for other in self.beside(row):
            try:
                said = texts(other.get(self.columns.caption))
            except UnusableError:  # it is left out itself, and says why
                continue
            box = other.get(self.columns.box) if self.columns.box else None
            elsewhere = box and box != row.get(self.columns.box)
            if elsewhere and caption_key(caption) in map(caption_key, said):
                raise UnusableError(f"another box of its picture is called {shown(caption)} too")
            found += said
        return found

    def _said(self, row: Row, column: str) -> list[str]:
        try:
            found = texts(row.get(column))
        except UnusableError as why:
            raise UnusableError(f"its {column} {why}") from None
        if not found:
            raise UnusableError(f"no {column}")
        return found

    def _check_columns(self, there: Sequence[str]) -> None:
        """ProbeError where a column that is asked for is none of those that are there."""
        for option, column in self.wanted_columns.items():
            if column not in there:
                raise ProbeError(
                    f"{self.name} has no column {column!r}, its columns: {', '.join(there)}; "
                    f"name the right one: --{option}-column NAME"
                )


class Folder(Table):
    """A folder of pictures with ``metadata.jsonl`` or ``metadata.csv`` (the ImageFolder convention of ``datasets``).

    Several rows of one picture are one row with several captions, and what else the row of the caption says that is
    used. Where each has a box or a question of its own, they stay apart.
    """

    kind = "folder"

    def __init__(self, folder: Path, columns: Columns, design: Design) -> None:
        super().__init__(columns, design)
        self.folder = folder
        self.name = printable(folder.resolve().name)
        self.metadata = next(folder / name for name in METADATA if (folder / name).is_file())
        self.column = columns.image or "file_name"
        rows: list[dict[Any, Any]]
        if self.metadata.suffix == ".jsonl":
            rows = [row for _, row in read_jsonl(self.metadata)]
        else:
            rows = read_csv(self.metadata, self.column)
        if not rows:
            raise ProbeError(f"{self.metadata} holds no rows; write one for each picture, with its caption")
        self._check_columns(list(dict.fromkeys(str(name) for row in rows for name in row if name is not None)))
        named = self._named(rows)
        there = pictures(folder)
        if named and named.keys().isdisjoint(map(plain_name, there)):
            self._check_one_is_there(named, there)
        # Listed so that they are told: they have no caption.
        unnamed: list[Row] = [{self.column: name} for name in there if plain_name(name) not in named]
        apart = columns.box is not None or design.task == "vqa"
        self._beside = named if apart else {}
        told = chain.from_iterable(named.values()) if apart else map(self._joined, named.values())
        self.rows: list[Row] = [*self._nameless, *told, *unnamed]
        self._shared = columns.box is not None and any(len(its) > 1 for its in named.values())

    @staticmethod
    def recognise(folder: Path) -> bool:
        """Whether there is metadata in the folder."""
        return any((folder / name).is_file() for name in METADATA)

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> tuple[str, Row]:
        row = self.rows[index]
        name = row.get(self.column)
        if not isinstance(name, str) or not name:
            return f"{self.name}/{self.metadata.name}, a row whose {self.column} is {shown(name)}", row
        box = f", box {shown(row.get(self.columns.box))}" if self.columns.box and self.beside(row) else ""
        return f"{printable(f'{self.name}/{name}')}{box}", row

    def beside(self, row: Row) -> Sequence[Row]:
        name = row.get(self.column)
        its = self._beside.get(plain_name(name.strip()), []) if isinstance(name, str) else []
        return [other for other in its if other is not row]

    def origin(self, row: Row) -> dict[str, str]:
        return {"picture": plain_name(row[self.column].strip())} if self._shared else {}

    def picture(self, row: Row) -> Path | bytes:
        name = row.get(self.column)
        if not isinstance(name, str) or not name.strip():
            raise UnusableError(f"no {self.column}")
        return find(self.folder, name.strip())

    def _named(self, rows: Sequence[dict[Any, Any]]) -> dict[str, list[dict[Any, Any]]]:
        """The rows by the plain name of their picture."""
        named: dict[str, list[dict[Any, Any]]] = {}
        self._nameless: list[Row] = []
        for row in rows:
            name = row.get(self.column)
            if isinstance(name, str) and name.strip():
                named.setdefault(plain_name(name.strip()), []).append(row)
            else:
                self._nameless.append(row)
        return named

    def _joined(self, rows: Sequence[dict[Any, Any]]) -> Row:
        """The rows of one picture as one: all captions, and whatever else the row of the first of them says."""
        if len(rows) == 1:
            return rows[0]
        caption = self.columns.caption
        said = [one for row in rows for one in _listed(row.get(caption))]
        try:
            used = {*texts(said)[:1]}
            own = next(row for row in rows if used <= {*texts(row.get(caption))})
        except UnusableError:  # whoever reads the row says why
            own = rows[0]
        broken = next((row for row in rows if None in row), own)  # one with too many fields makes all of them suspect
        return {**broken, caption: said} if None in broken else {**own, caption: said}

    def _check_one_is_there(self, named: Mapping[str, Sequence[Row]], there: Sequence[str]) -> None:
        """ProbeError where none of the names leads anywhere: then the names are wrong, not the pictures missing."""
        for name in named:
            try:
                find(self.folder, name)
                return
            except UnusableError as why:
                reason = str(why)
                if reason != "no such file":
                    return
        held = ", ".join(map(printable, there[:_NAMED])) + (" ..." if len(there) > _NAMED else "")
        raise ProbeError(
            f"{self.metadata} names {len(named)} pictures and none of them is there, the first: "
            f"{printable(next(iter(named)))}; {self.folder} holds {held or 'no pictures'}: write the names as they "
            f"start from {self.folder}"
        )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
