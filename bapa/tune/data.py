"""Where training chats come from: LLaVA-style files, data sets with a chat column, or probes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
from PIL import Image

from bapa.errors import ConfigError, ProbeError
from bapa.probe import Probe
from bapa.probe.dataset import encoded, open_table, undecoded
from bapa.probe.lines import read_jsonl, read_text
from bapa.probe.names import find
from bapa.probe.picture import UnusableError, check
from bapa.probe.picture import read as read_picture
from bapa.progress import progress
from bapa.tune.chat import BadRow, Message, Part
from bapa.tune.chat import read as read_chat

CHATS = ("messages", "conversations")
PICTURES = ("images", "image")
OTHERS = ("video", "videos", "audio", "audios")  # which nothing here trains on
_SAVED = ("state.json", "dataset_dict.json")  # in folders of datasets' own save_to_disk
_EXAMPLE = '{"image": "a.png", "conversations": [...]}'
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
    ``left_out``: rows that are not used, each with its reason. ``places``: what to call each row in messages.
    ``content``: what a reference stands for, in bytes, for the fingerprint. ``skip_bad``: whether rows that turn out to
    be bad are left out.
    """

    name: str
    rows: datasets.Dataset
    open: Callable[[str], Image.Image]
    left_out: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    content: Callable[[str], bytes] | None = None
    skip_bad: bool = False

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the chats, the references of their pictures, and the pictures."""
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(json.dumps(row, sort_keys=True).encode())
            if self.content:
                for reference in row["images"]:
                    digest.update(self.content(reference))
        return digest.hexdigest()

    def tried(self, use: Callable[[dict[str, Any]], None], *, shown: bool = True) -> Data:
        """The rows that ``use`` takes, each tried once; it raises on others, whatever it likes. ``shown``: with
        progress.

        Raises:
            ConfigError: it does not take a row, and bad rows are not to be left out; or it takes none.
        """
        good: list[int] = []
        bad: list[str] = []
        with progress("trying rows", len(self.rows), shown=shown) as step:
            for number, row in enumerate(self.rows):
                try:
                    use(row)
                    good.append(number)
                except Exception as error:  # a chat template, a processor: whatever they raise, it is this row's
                    place = self.places[number] if self.places else f"row {number}"
                    cause = error.__cause__ if isinstance(error.__cause__, UnusableError) else error
                    bad.append(f"{place}: {_reason(cause)}")
                step()
        _decide(self.name, bad, len(good), self.skip_bad)
        if not bad:
            return self
        places = tuple(self.places[number] for number in good) if self.places else ()
        return replace(self, rows=self.rows.select(good), left_out=(*self.left_out, *bad), places=places)


def _reason(error: BaseException) -> str:
    told = " ".join(str(error).split()) or type(error).__name__
    return told if len(told) <= 300 else f"{told[:297]}..."


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

    ``images``: folder that picture paths start from, by default that of the file or data set; they may not lead out of
    it. ``split``: of a data set. ``cells``: of a probe, where its targets stand; all by default. ``rows``: only the
    first so many. ``skip_bad``: leave rows out that cannot be used, instead of raising.

    Raises ConfigError where nothing can be read there, or a row is bad: picture missing, marks that do not fit, no
    answer.
    """
    path = Path(source)
    name = str(path) if path.exists() else str(source)  # one name with and without a slash at its end
    if (path / "probe.json").is_file():
        return _probe(name, Probe.load(path), cells, rows)
    if cells:
        raise ConfigError(f"{source} is no probe; cells are chosen in a probe only")
    try:
        if (file := _file(path)) is not None:
            return _from_file(name, file, Path(images) if images else file.parent, rows, skip_bad)
        return _from_table(name, split, images, rows, skip_bad)
    except ProbeError as error:  # of the readers that tuning shares with probes
        raise ConfigError(str(error)) from None


@dataclass(frozen=True)
class _Row:
    """A row before it is checked. ``where``: how to find it; ``references``: of its pictures; ``fields``: what it has,
    if known; ``others``: of these what is no picture.
    """

    where: str
    turns: object
    references: object
    fields: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def chat(self, look: Callable[[str], None]) -> dict[str, Any]:
        """The row as training takes it, after a ``look`` at each picture, which raises BadRow."""
        if self.fields and not any(name in self.fields for name in CHATS):
            raise BadRow(f"it has {', '.join(self.fields)}; the chat is read from {' or '.join(CHATS)}")
        if self.others:
            raise BadRow(f"it comes with {self.others[0]}; only pictures are trained on")
        if not isinstance(self.references, list) or not all(isinstance(name, str) for name in self.references):
            raise BadRow(f"its image is {self.references!r}; a path, or a list of paths")
        for reference in self.references:
            look(reference)
        return {"messages": read_chat(self.turns, len(self.references)), "images": self.references}


def _checked(
    name: str,
    found: Iterable[_Row],
    picture: Callable[[str], Path | bytes],
    told: Callable[[str], str],
    skip_bad: bool,
    of_row: Callable[[str], str] = lambda reference: "",
) -> Data:
    """The good rows. ``picture``: what a reference stands for, or UnusableError; ``told``: what to call it; ``of_row``:
    what to say before that where the row is not named, and ``told`` does not tell it.
    """
    good: list[dict[str, Any]] = []
    places: list[str] = []
    bad: list[str] = []

    def look(reference: str) -> None:
        try:
            check(picture(reference))
        except UnusableError as why:
            raise BadRow(f"{told(reference)}: {why}") from None

    for row in found:
        try:
            good.append(row.chat(look))
            places.append(row.where)
        except BadRow as error:
            bad.append(f"{row.where}: {error}")
    _decide(name, bad, len(good), skip_bad)

    def open_picture(reference: str) -> Image.Image:
        try:
            return read_picture(picture(reference))
        except UnusableError as why:
            bad = UnusableError(f"{told(reference)}: {why}")
            raise ConfigError(
                f"{of_row(reference)}{bad}; mend it and repeat the command, which goes on from the last checkpoint"
            ) from bad

    def content(reference: str) -> bytes:
        stored = picture(reference)
        return stored if isinstance(stored, bytes) else stored.read_bytes()

    rows = datasets.Dataset.from_list(good, features=FEATURES)
    return Data(name, rows, open_picture, tuple(bad), tuple(places), content, skip_bad)


def _decide(name: str, bad: Sequence[str], good: int, skip_bad: bool) -> None:
    """ConfigError where a row is bad and may not be left out, or none is left."""
    if bad and not skip_bad:
        raise ConfigError(
            f"{name}: {bad[0]} ({len(bad)} of {len(bad) + good} rows are bad); mend them, or leave them out: --skip-bad"
        )
    if not good:
        raise ConfigError(f"{name}: no row to train on" + (f"; the first: {bad[0]}" if bad else ""))


def _file(path: Path) -> Path | None:
    if path.suffix in (".json", ".jsonl"):
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; name a .json or .jsonl file of chats, a data set, or a probe")
        return path
    if not path.is_dir() or any((path / mark).is_file() for mark in _SAVED):
        return None
    listed = (file for kind in ("*.json", "*.jsonl") for file in path.glob(kind))
    files = sorted(file for file in listed if not file.name.startswith("."))
    if len(files) > 1:
        raise ConfigError(f"{path} holds {len(files)} files of rows; name one, e.g. {files[0]}")
    return files[0] if files else None


def _from_file(name: str, file: Path, folder: Path, rows: int | None, skip_bad: bool) -> Data:
    entries = _entries(file)[:rows]
    found = [
        _Row(where, _turns(entry), _references(entry), tuple(entry), tuple(name for name in OTHERS if entry.get(name)))
        for where, entry in entries
    ]
    return _checked(
        name, found, lambda reference: find(folder, reference), lambda told: f"image {told} in {folder}", skip_bad
    )


def _entries(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """The objects in a file, each with where it stands."""
    if file.suffix == ".jsonl":
        found: list[tuple[str, Any]] = [(f"line {number}", row) for number, row in read_jsonl(file, _EXAMPLE)]
    else:
        try:
            whole = json.loads(read_text(file))
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{file}: not JSON ({error})") from None
        found = [(f"row {n}", entry) for n, entry in enumerate(whole, 1)] if isinstance(whole, list) else []
    for where, entry in found:
        if not isinstance(entry, dict):
            raise ConfigError(f"{file}: {where} is {entry!r}, not an object such as {_EXAMPLE}")
    if not found:
        raise ConfigError(f"{file}: no rows; a list of objects, or one object a line, is read")
    return found


def _turns(entry: dict[str, Any]) -> object:
    return next((entry[name] for name in CHATS if name in entry), None)


def _references(entry: dict[str, Any]) -> object:
    given: object = next((entry[name] for name in PICTURES if entry.get(name) is not None), [])
    return [given] if isinstance(given, str) else given


def _probe(name: str, probe: Probe, cells: Sequence[int], rows: int | None) -> Data:
    """Every question of a probe about its targets at ``cells``, with its answer."""
    if bad := [cell for cell in cells if not 0 <= cell < probe.cells]:
        raise ConfigError(f"cell {bad[0]}: the probe in {probe.path} has cells 0 to {probe.cells - 1}")
    probe.needs_questions("a model is trained on questions with answers here")
    probe.needs_one_picture("a model is trained on one picture a question here")
    if probe.design.task == "point":
        raise ConfigError(
            f"the probe in {probe.path}, of task point, knows where to point, not how the model writes it; write its "
            "boxes as the model does into a file of chats: --data FILE.jsonl"
        )
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

    table = datasets.Dataset.from_list(found[:rows], features=FEATURES)
    return Data(name, table, compose, content=lambda _: probe.fingerprint.encode())


def _from_table(name: str, split: str, images: str | Path | None, rows: int | None, skip_bad: bool) -> Data:
    """The rows of a data set of the ``datasets`` library: on the hub, saved to a folder, or a parquet file."""
    path = Path(name)
    table = open_table(name, split, "a probe, a .json or .jsonl file, or a data set is read")
    chat = next((column for column in CHATS if column in table.column_names), None)
    if chat is None:
        raise ConfigError(
            f"{name} has the columns {', '.join(table.column_names)}; the chat is read from {' or '.join(CHATS)}"
        )
    table = table.select(range(min(rows or len(table), len(table))))
    column = next((column for column in PICTURES if column in table.column_names), None)
    if column is not None:
        table = undecoded(table, column)
    counts = _counts(table, column)
    others = {name: _counts(table, name) for name in OTHERS if name in table.column_names}
    found = [
        _Row(f"row {n}", turns, [f"{n}/{k}" for k in range(count)], others=tuple(o for o in others if others[o][n]))
        for n, (turns, count) in enumerate(zip(table[chat], counts, strict=True))
    ]
    folder = Path(images) if images else path.parent if path.is_file() else path

    def picture(reference: str) -> Path | bytes:
        row, number = map(int, reference.split("/"))
        value = table[row][column]
        return encoded(value[number] if isinstance(value, list) else value, folder)

    def told(reference: str) -> str:
        return f"picture {int(reference.split('/')[1]) + 1}"

    def of_row(reference: str) -> str:
        return f"{name} row {reference.split('/')[0]}, "

    return _checked(name, found, picture, told, skip_bad, of_row)


def _counts(table: datasets.Dataset, column: str | None) -> list[int]:
    """How many pictures each row has, without reading any."""
    if column is None:
        return [0] * len(table)
    values = table.with_format("arrow").select_columns([column])[:][column].to_pylist()
    return [len(value) if isinstance(value, list) else int(value is not None) for value in values]
