"""Files that are written whole or not at all, and folders that one command fills, one process at a time."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from bapa.errors import RunError

# Names of things whose fingerprints are compared; a folder may be called by another name when a command is repeated.
NAMES = ("model.name", "probe.path")
# What writers in other languages say of a full disk, in errors that are none of the operating system.
_FULL = ("os error", "PytorchStreamWriter failed", "inline_container.cc")
_SHOWN = 12  # characters of a fingerprint in a message


class RunFolder:
    """The folder of one command that can be stopped and started again.

    ``path``: the folder. ``config``: what decides its content; a folder that holds anything else is refused, names
    (:data:`NAMES`) aside. ``kind``: what the command makes, for messages. ``record``: the JSON file that marks the work
    finished and holds the config under ``config``. ``beside``: names of what else may stand in the folder before the
    work begins. ``work``: a glob pattern, from the record's folder, of the files that hold finished work; before there
    is any, another config may take the folder. ``free``: keys of the config that may differ. While the work goes on,
    ``progress/config.json`` beside the record holds the config.
    """

    def __init__(
        self,
        path: str | Path,
        config: Mapping[str, Any],
        *,
        kind: str,
        record: str,
        work: str,
        beside: tuple[str, ...] = (),
        free: tuple[str, ...] = (),
    ) -> None:
        self.path = Path(path)
        self.config: dict[str, Any] = json.loads(json.dumps(config))  # as it reads back
        self.kind = kind
        self.record = self.path / record
        self.progress = self.record.parent / "progress"
        self.beside = (*beside, Path(record).parts[0], "progress")
        self.work, self.free = work, free
        self._lock = FileLock(self.progress / "lock", timeout=0)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> dict[str, Any] | None:
        """Take the folder: its record where the work is finished, None where there is work to do.

        Raises RunError where the folder holds something else, or another process is writing to it.
        """
        found = self.finished()
        if found is None:
            self.take()
        else:
            shutil.rmtree(self.progress, ignore_errors=True)  # of a process killed between sealing and tidying up
        return found

    def take(self) -> None:
        """Take the folder for the work. Where it has begun already, it goes on with the free keys it began with.

        Raises RunError as :meth:`open` does.
        """
        started = self.progress / "config.json"
        with writing(self.path):
            if started.is_file() and self._begun():
                before = read_json(started)
                self.compare(before)
                self.config.update({key: before[key] for key in self.free if key in before})
            elif not self.record.is_file() and self._taken():
                raise RunError(f"{self.path} is not empty and holds no {self.kind}; name a new folder: --out FOLDER")
            self.lock()
            write_json(started, self.config)

    def _begun(self) -> bool:
        return any(file.is_dir() or file.stat().st_size for file in self.record.parent.glob(self.work))

    def _taken(self) -> bool:
        """Whether something else stands in the folder. A folder inside it that is ours says that it is not so."""
        if self.record.parent != self.path and self.record.parent.is_dir():
            return False
        return self.path.exists() and any(file.name not in self.beside for file in self.path.iterdir())

    def finished(self) -> dict[str, Any] | None:
        """The record of the finished work; None where there is none.

        Raises RunError where it is another's.
        """
        if not self.record.is_file():
            return None
        found = read_json(self.record)
        self.compare(found.get("config"))
        return found

    def lock(self) -> None:
        """Keep other processes out.

        Raises RunError where another one is in.
        """
        self.progress.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise RunError(f"another process writes to {self.path}; wait for it, or name another folder") from None

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.release()

    def seal(self, record: Mapping[str, Any]) -> None:
        """Write the record, which marks the work finished, and remove what stood there for going on."""
        with writing(self.path):
            write_json(self.record, {"version": 1, "config": self.config, **record})
            shutil.rmtree(self.progress, ignore_errors=True)

    def compare(self, there: Any) -> None:
        """Raise RunError, with the differences, where ``there`` is another config."""
        before, now = dict(_flat(there)), dict(_flat(self.config))
        told = before.get("model.fingerprint")
        if isinstance(told, str) and "-" not in told and "-" in str(now.get("model.fingerprint")):
            raise RunError(
                f"{self.path} holds a {self.kind} of an earlier release, which told models apart in another way; "
                "name a new folder: --out FOLDER"
            )
        changed = [
            f"{key}: {_told(key, before)} there, {_told(key, now)} now"
            for key in {**before, **now}
            if before.get(key) != now.get(key) and key not in (*NAMES, *self.free)
        ]
        if changed:
            raise RunError(
                f"{self.path} holds another {self.kind} ({'; '.join(changed)}); name a new folder: --out FOLDER"
            )


def command() -> str:
    """What this process was started with, as one would type it."""
    program = Path(sys.argv[0])
    own = program.stem == "bapa" or program.resolve() == Path(__file__).resolve().with_name("__main__.py")
    return shlex.join(["bapa", *sys.argv[1:]] if own else sys.argv)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes ``path`` as a whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes of this machine from writing ``path`` meanwhile; nothing is left beside it.

    Raises RunError where another one is writing it.
    """
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    # The empty lock file stays: a process that opened it before it was removed would lock a file without a name, and
    # the next one a new file, both at once. In the temporary folder it is in nobody's way and goes with the rest.
    try:
        with FileLock(Path(tempfile.gettempdir()) / f"bapa-{name}.lock", timeout=0):
            yield
    except Timeout:
        raise RunError(f"another process writes {path}; wait for it, or name another place") from None


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON as a whole or not at all."""
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", "utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file.

    Raises RunError where it holds none.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise RunError(f"{path} is not JSON ({error}); start again in a new folder") from None
    if not isinstance(value, dict):
        raise RunError(f"{path} is not a JSON object; start again in a new folder")
    return value


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the operating system says against writing to ``path``, as a RunError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(
            f"cannot write {path}: {reason}; nothing finished is lost, run the same command again"
        ) from error


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it followed, says that the disk is full or the quota used up."""
    if error is None:
        return False
    codes = (errno.ENOSPC, errno.EDQUOT)
    signs = (*_FULL, *(os.strerror(code) for code in codes))
    return (
        getattr(error, "errno", None) in codes
        or any(sign in str(error) for sign in signs)
        or disk_is_full(error.__cause__ or error.__context__)
    )


def sync_files(folder: Path) -> None:
    """Wait until the files of a folder are on the disk."""
    for path in folder.iterdir():
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield prefix or "config", value
    else:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else key)


def _told(key: str, values: Mapping[str, Any]) -> str:
    if key not in values:
        return "nothing"
    told = str(values[key])
    if not key.endswith("fingerprint"):
        return told
    first, *more = told[:_SHOWN], *told.split("-")[2:]  # what stands behind says how they were loaded
    return "-".join([first, *more])
