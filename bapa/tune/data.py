"""Where training chats come from: LLaVA-style files, data sets with a chat column, or probes."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from PIL import Image

from bapa.errors import ConfigError
from bapa.probe import Probe
from bapa.tune.chat import BadRow, Message, Part
from bapa.tune.chat import read as read_chat

CHATS = ("messages", "conversations")
PICTURES = ("images", "image")
_SAVED = ("state.json", "dataset_dict.json")  # in folders of datasets' own save_to_disk
FEATURES = datasets.Features(
    {
        "messages": datasets.List(
            {
                "role": datasets.Value("string"),
                "content": datasets.List({"type": datasets.Value("string"), "text": datasets.Value("string")}),
            }
        ),
        "images": datasets.List(datasets.Value("string")),
    }
)


@dataclass(frozen=True)
class Data:
    """Training rows.

    ``name``: what they were asked for by. ``rows``: a data set with the columns ``messages`` and ``images``, the latter
    holding references that ``open`` turns into RGB pictures, so that pictures are read when they are needed.
    ``left_out``: rows that are not used, each with its reason.
    """

    name: str
    rows: datasets.Dataset
    open: Callable[[str], Image.Image]
    left_out: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the chats and the references of their pictures."""
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(json.dumps(row, sort_keys=True).encode())
        return digest.hexdigest()


def read(
    source: str | Path,
    *,
    images: str | Path | None = None,
    split: str = "train",
    cells: Sequence[int] = (),
    rows: int | None = None,
    skip_bad: bool = False,
) -> Data:
    """The training rows in ``source``: a probe folder, a .json or .jsonl file (or a folder with one), or a data set.

    ``images``: folder that picture paths of a file start from, by default the file's own; they may not lead out of it.
    ``split``: of a data set. ``cells``: of a probe, where its targets stand; all by default. ``rows``: only the first
    so many. ``skip_bad``: leave rows out that cannot be used, instead of raising.

    Raises ConfigError where nothing can be read there, or a row is bad: picture missing, marks that do not fit, no
    answer.
    """
    path = Path(source)
    if (path / "probe.json").is_file():
        return _probe(str(source), Probe.load(path), cells, rows)
    if cells:
        raise ConfigError(f"{source} is no probe; cells are chosen in a probe only")
    if (file := _file(path)) is not None:
        folder = Path(images) if images else file.parent
        entries = _entries(file)
        found = [
            _Row(where, _turns(entry), _references(entry), folder, tuple(entry)) for where, entry in entries[:rows]
        ]
        return _checked(str(source), found, lambda reference: _picture(folder / reference), skip_bad)
    return _dataset(str(source), split, rows, skip_bad)


@dataclass(frozen=True)
class _Row:
    """A row before it is checked. ``where``: how to find it; ``folder``: that its pictures must lie in, if files;
    ``fields``: what it has, if known.
    """

    where: str
    turns: object
    references: object
    folder: Path | None = None
    fields: tuple[str, ...] = ()

    def chat(self) -> dict[str, Any]:
        if self.fields and not any(name in self.fields for name in CHATS):
            raise BadRow(f"it has {', '.join(self.fields)}; the chat is read from {' or '.join(CHATS)}")
        if not isinstance(self.references, list) or not all(isinstance(name, str) for name in self.references):
            raise BadRow(f"its image is {self.references!r}; a path, or a list of paths")
        if self.folder is not None:
            for name in self.references:
                target = (self.folder / name).resolve()
                if not target.is_relative_to(self.folder.resolve()):
                    raise BadRow(f"image {name} lies outside {self.folder}")
                if not target.is_file():
                    raise BadRow(f"image {name} does not exist in {self.folder}")
                try:
                    Image.open(target).close()  # its head only: whole pictures are read when they are needed
                except OSError:
                    raise BadRow(f"image {name} cannot be read as a picture") from None
        return {"messages": read_chat(self.turns, len(self.references)), "images": self.references}


def _checked(name: str, found: Iterable[_Row], open: Callable[[str], Image.Image], skip_bad: bool) -> Data:
    good: list[dict[str, Any]] = []
    bad: list[str] = []
    for row in found:
        try:
            good.append(row.chat())
        except BadRow as error:
            bad.append(f"{row.where}: {error}")
    if bad and not skip_bad:
        raise ConfigError(
            f"{name}: {bad[0]} ({len(bad)} of {len(bad) + len(good)} rows are bad); mend them, or leave them out: "
            "--skip-bad"
        )
    if not good:
        raise ConfigError(f"{name}: no row to train on" + (f"; the first: {bad[0]}" if bad else ""))
    return Data(name, datasets.Dataset.from_list(good, features=FEATURES), open, tuple(bad))


def _file(path: Path) -> Path | None:
    if path.suffix in (".json", ".jsonl"):
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; name a .json or .jsonl file of chats, a data set, or a probe")
        return path
    if not path.is_dir() or any((path / mark).is_file() for mark in _SAVED):
        return None
    files = sorted(file for kind in ("*.json", "*.jsonl") for file in path.glob(kind))
    if len(files) > 1:
        raise ConfigError(f"{path} holds {len(files)} files of rows; name one, e.g. {files[0]}")
    return files[0] if files else None


def _entries(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """The objects in a file, each with where it stands."""
    text = file.read_text("utf-8")
    found: list[tuple[str, Any]] = []
    try:
        if file.suffix == ".json":
            whole = json.loads(text)
            found = [(f"row {n}", entry) for n, entry in enumerate(whole, 1)] if isinstance(whole, list) else []
        else:
            for number, line in enumerate(text.splitlines(), 1):
                if line.strip():
                    found.append((f"line {number}", json.loads(line)))
    except ValueError as error:
        where = f"line {number}" if file.suffix == ".jsonl" else "it"
        raise ConfigError(f"{file}: {where} is no JSON ({error})") from None
    for where, entry in found:
        if not isinstance(entry, dict):
            raise ConfigError(f"{file}: {where} is {entry!r}, not an object with conversations")
    if not found:
        raise ConfigError(f"{file}: no rows; a list of objects, or one object a line, is read")
    return found


def _turns(entry: dict[str, Any]) -> object:
    return next((entry[name] for name in CHATS if name in entry), None)


def _references(entry: dict[str, Any]) -> object:
    given: object = next((entry[name] for name in PICTURES if entry.get(name) is not None), [])
    return [given] if isinstance(given, str) else given


def _picture(source: Path | io.BytesIO, name: str | None = None) -> Image.Image:
    try:
        with Image.open(source) as picture:
            return picture.convert("RGB")
    except OSError as error:
        raise _unreadable(name or str(source), error) from error


def _unreadable(name: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"{name}: cannot be read as a picture ({error}); mend it and repeat the command, which goes on from the last "
        "checkpoint"
    )


def _probe(name: str, probe: Probe, cells: Sequence[int], rows: int | None) -> Data:
    """Every question of a probe about its targets at ``cells``, with its answer."""
    if bad := [cell for cell in cells if not 0 <= cell < probe.cells]:
        raise ConfigError(f"cell {bad[0]}: the probe in {probe.path} has cells 0 to {probe.cells - 1}")
    found: list[dict[str, Any]] = []
    first = probe.design.order == "question-first"
    for index, item in enumerate(probe.items):
        for cell in cells or range(probe.cells):
            for question in probe.questions(item, cell):
                asked: list[Part] = [{"type": "image", "text": None}, {"type": "text", "text": question.text}]
                chat: list[Message] = [
                    {"role": "user", "content": asked[::-1] if first else asked},
                    {"role": "assistant", "content": [{"type": "text", "text": question.answer}]},
                ]
                found.append({"messages": chat, "images": [f"{index}/{cell}"]})

    def compose(reference: str) -> Image.Image:
        index, cell = map(int, reference.split("/"))
        return Image.fromarray(probe.compose(probe.items[index], cell))

    return Data(name, datasets.Dataset.from_list(found[:rows], features=FEATURES), compose)


def _dataset(name: str, split: str, rows: int | None, skip_bad: bool) -> Data:
    """A data set of the ``datasets`` library: on the hub, saved to a folder, or a parquet file."""
    path = Path(name)
    try:
        if any((path / mark).is_file() for mark in _SAVED):
            table = datasets.load_from_disk(name)
            if isinstance(table, datasets.DatasetDict):
                if split not in table:
                    raise ConfigError(f"{name} has no split {split!r}; it has {', '.join(table)}: --split NAME")
                table = table[split]
        elif path.suffix == ".parquet":
            table = datasets.load_dataset("parquet", data_files=name, split="train")
        else:
            table = datasets.load_dataset(name, split=split)
    except (OSError, ValueError, ConnectionError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"cannot read {name!r} as training data ({reason}); a probe, a .json or .jsonl file, or a data set is read"
        ) from None
    chat = next((column for column in CHATS if column in table.column_names), None)
    if chat is None:
        raise ConfigError(
            f"{name} has the columns {', '.join(table.column_names)}; the chat is read from {' or '.join(CHATS)}"
        )
    table = table.select(range(min(rows or len(table), len(table))))
    column = next((column for column in PICTURES if column in table.column_names), None)
    counts = _counts(table, column)
    found = [
        _Row(f"row {n}", turns, [f"{n}/{k}" for k in range(count)])
        for n, (turns, count) in enumerate(zip(table[chat], counts, strict=True))
    ]

    def open_cell(reference: str) -> Image.Image:
        row, number = map(int, reference.split("/"))
        where = f"{name} row {row}"
        try:
            value = table[row][column]
        except OSError as error:
            raise _unreadable(where, error) from error
        picture = value[number] if isinstance(value, list) else value
        if isinstance(picture, dict) and picture.get("bytes"):  # a column that does not know it holds pictures
            return _picture(io.BytesIO(picture["bytes"]), where)
        if isinstance(picture, Image.Image):
            return picture.convert("RGB")
        raise ConfigError(f"{where}: column {column} holds no picture but {type(picture).__name__}")

    return _checked(name, found, open_cell, skip_bad)


def _counts(table: datasets.Dataset, column: str | None) -> list[int]:
    """How many pictures each row has, without reading any."""
    if column is None:
        return [0] * len(table)
    values = table.with_format("arrow").select_columns([column])[:][column].to_pylist()
    return [len(value) if isinstance(value, list) else int(value is not None) for value in values]
