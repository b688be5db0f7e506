"""A run on disk: shards of answers while it goes on, three files when it is finished.

``progress/config.json``     what is being measured
``progress/answers-N.jsonl`` the answers of process N, one line a block, appended and synced before the next block
``answers.parquet``          all answers, in the order of the probe
``bias.json``                the statistics
``run.json``                 config, versions, fingerprints, command; written last: it marks the run finished
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from bapa.errors import RunError

ANSWERS, BIAS, RUN = "answers.parquet", "bias.json", "run.json"
BESIDE = ("progress", "origin", "origin.json")  # what may stand in a run's folder before the run
SCHEMA = pa.schema(
    [
        ("item", pa.int32()),
        ("cell", pa.int16()),
        ("row", pa.int16()),
        ("col", pa.int16()),
        ("question", pa.string()),
        ("kind", pa.string()),
        ("scheme", pa.string()),
        ("expected", pa.string()),
        ("answer", pa.string()),
        ("correct", pa.bool_()),
        ("margin", pa.float64()),
        ("mass", pa.float64()),
        ("top", pa.string()),
        ("error", pa.string()),
    ]
)
Block = Mapping[str, Any]  # "block": its number, "rank": place of each row in the run, "answers": columns, "audit"


class Store:
    """The folder of one run. Only one process opens it as ``main``; the others join when it has.

    ``config`` decides what is measured: a folder that holds anything else is refused.
    """

    def __init__(self, out: Path, config: Mapping[str, Any], *, process: int = 0) -> None:
        self.out = out
        self.config = json.loads(json.dumps(config))  # as it reads back
        self.progress = out / "progress"
        self.shard = self.progress / f"answers-{process}.jsonl"
        self._lock = FileLock(self.progress / "lock", timeout=0)

    def open(self) -> bool:
        """Take the folder for this run; False if the run is finished already.

        Raises RunError where the folder holds something else, or another process is writing to it.
        """
        with _readable_errors(self.out):
            if (self.out / RUN).exists():
                self._compare(read_json(self.out / RUN).get("config"))
                shutil.rmtree(self.progress, ignore_errors=True)  # of a run killed between sealing and tidying up
                return False
            if any(shard.stat().st_size for shard in self.progress.glob("answers-*.jsonl")):
                self._compare(read_json(self.progress / "config.json"))
            elif self.out.exists() and any(path.name not in BESIDE for path in self.out.iterdir()):
                raise RunError(f"{self.out} is not empty and holds no run; name a new folder: --out FOLDER")
            self.progress.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise RunError(
                    f"another process is measuring into {self.out}; wait for it, or name another folder"
                ) from None
            write_json(self.progress / "config.json", self.config)
        return True

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.release()

    def append(self, block: Block) -> None:
        """Add a finished block; when this returns, it is on the disk."""
        with _readable_errors(self.shard):
            new = not self.shard.exists()
            with self.shard.open("ab") as shard:
                shard.write(json.dumps(block).encode() + b"\n")
                shard.flush()
                os.fsync(shard.fileno())
            if new:
                _sync_folder(self.progress)

    def mend(self) -> None:
        """Cut off what this process had half written when it was killed."""
        if self.shard.exists():
            with self.shard.open("rb+") as shard:
                shard.truncate(shard.read().rfind(b"\n") + 1)

    def blocks(self) -> dict[int, Block]:
        """The finished blocks of all processes by number; of one that was repeated, the one with fewer errors."""
        found: dict[int, Block] = {}
        for shard in sorted(self.progress.glob("answers-*.jsonl")):
            with shard.open("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        continue
                    block = json.loads(line)
                    before = found.get(block["block"])
                    if before is None or len(errors(block)) <= len(errors(before)):
                        found[block["block"]] = block
        return found

    def seal(self, answers: pa.Table, bias: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Turn the shards into the finished run."""
        with _readable_errors(self.out):
            with replacing(self.out / ANSWERS) as path:
                pq.write_table(answers, path, compression="zstd")
            write_json(self.out / BIAS, bias)
            write_json(self.out / RUN, {"version": 1, "config": self.config, **record})
            shutil.rmtree(self.progress)

    def _compare(self, there: Any) -> None:
        before, now = dict(_flat(there)), dict(_flat(self.config))
        changed = [
            f"{key}: {before.get(key, 'nothing')} there, {now.get(key, 'nothing')} now"
            for key in {**before, **now}
            if before.get(key) != now.get(key)
        ]
        if changed:
            raise RunError(f"{self.out} holds another run ({'; '.join(changed)}); name a new folder: --out FOLDER")


def table(blocks: Mapping[int, Block]) -> pa.Table:
    """The answers of all blocks in the order of the probe, with the columns of :data:`SCHEMA`."""
    parts = [
        pa.table(_filled(block["answers"]), SCHEMA).append_column("rank", pa.array(block["rank"], pa.int64()))
        for block in blocks.values()
    ]
    return pa.concat_tables(parts).sort_by("rank").drop_columns("rank")


def _filled(answers: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Columns of a block; null where it was written before there was such a column."""
    return {name: answers.get(name, [None] * len(answers["item"])) for name in SCHEMA.names}


def errors(block: Block) -> list[str]:
    """What failed in a block, one line an answer: which, and why."""
    answers = block["answers"]
    named = zip(*(answers[name] for name in ("item", "cell", "question", "scheme", "error")), strict=True)
    return [
        f"item {item}, cell {cell}, {question}, {scheme}: {error}"
        for item, cell, question, scheme, error in named
        if error is not None
    ]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes ``path`` as a whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON as a whole or not at all."""
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", "utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file; RunError where it holds none."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise RunError(f"{path} is not JSON ({error}); measure again into a new folder") from None
    if not isinstance(value, dict):
        raise RunError(f"{path} is not a JSON object; measure again into a new folder")
    return value


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield prefix or "config", value
    else:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else key)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _readable_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(
            f"cannot write {path}: {reason}; nothing finished is lost, run the same command again"
        ) from error
