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
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from bapa.errors import BapaError, RunError

# Names of things whose fingerprints are compared; a folder may be called by another name when a command is repeated.
NAMES = ("model.name", "probe.path")
# What a config tells of its model and configs of earlier releases did not.
_SINCE = ("processor", "trust_remote_code")
# What writers in other languages say of a full disk, in errors that are none of the operating system.
_FULL = ("os error", "PytorchStreamWriter failed", "inline_container.cc")
_SHOWN = 12  # characters of a fingerprint in a message
_LOCK, _PART = "lock", ".part"


class RunFolder:
    """The folder of one command that can be stopped and started again.

    ``path``: the folder. ``config``: what decides its content; a folder that holds anything else is refused, names
    (:data:`NAMES`) aside. ``kind``: what the command makes, for messages. ``record``: the JSON file that marks the work
    finished and holds the config under ``config``. ``work``: a glob pattern, from the record's folder, of files that
    hold finished work; before there is any, another config may take the folder. ``beside``: names of what other
    commands may have put into the folder. ``made``: names of what the work makes before any of it is finished; they are
    its own only where ``progress/config.json`` says so, else somebody's, and the folder is refused. ``kept``: glob
    patterns of what it keeps in ``progress`` for going on. ``free``: keys of the config that may differ.

    While the work goes on, ``progress/config.json`` beside the record holds the config and the kind. At the end it is
    removed with the lock and what was ``kept``; what else stands in ``progress`` stays.
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
        made: tuple[str, ...] = (),
        kept: tuple[str, ...] = (),
        free: tuple[str, ...] = (),
    ) -> None:
        self.path = Path(path)
        self.config: dict[str, Any] = json.loads(json.dumps(config))  # as it reads back
        self.kind = kind
        self.record = self.path / record
        self.progress = self.record.parent / "progress"
        self.started = self.progress / "config.json"
        self.beside, self.made, self.kept = beside, made, kept
        self.work, self.free = work, free
        self._lock = FileLock(self.progress / _LOCK, timeout=0)

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
            self.tidy()  # of a process killed between sealing and tidying up
        return found

    def take(self) -> None:
        """Take the folder for the work. Where it has begun already, it goes on with the free keys it began with.

        Raises RunError as :meth:`open` does.
        """
        with writing(self.path):
            before = self.before()
            if before is not None and self._begun():
                self._go_on(before)
                self.config.update({key: before[key] for key in self.free if key in before})
            elif self._taken(ours=before is not None):
                raise RunError(f"{self.path} is not empty and holds no {self.kind}; name a new folder: --out FOLDER")
            self.lock()
            if before is not None and self._changed(before):
                self.clear()  # before the config is there: a process killed meanwhile leaves it to the next one
            write_json(self.started, {"kind": self.kind, **self.config})

    def before(self) -> dict[str, Any] | None:
        """The config of the work that was begun here; None where none was, or work of another kind."""
        if not self.started.is_file():
            return None
        found = read_json(self.started)
        # Earlier releases did not name the kind; each has keys of its own.
        kind = found.pop("kind", self.kind if found.keys() == self.config.keys() else None)
        return found if kind == self.kind else None

    def clear(self) -> None:
        """Remove what must not be taken for this work's own, of another config that had nothing finished. None here:
        what is ``made`` is looked at by those who use it.
        """

    def _begun(self) -> bool:
        return any(file.is_dir() or file.stat().st_size for file in self.record.parent.glob(self.work))

    def _taken(self, *, ours: bool) -> bool:
        """Whether something else stands in the folder. ``ours``: whether work of this kind was begun there."""
        if not ours and self.started.is_file():  # of another kind
            return True
        home = self.record.parent
        if self.record.is_file() or (ours and home != self.path):  # what stands beside that folder may be the work's
            return False
        own = {file.relative_to(self.path).parts[0] for file in (self.record, self.progress)}
        known = {self.path: {*own, *self.beside, *(self.made if ours else ())}}
        if not ours:  # a process that is killed before its config is there leaves no more
            inner = {home: {self.record.name, self.progress.name}, self.progress: {_LOCK, self.started.name}}
            known = inner | known
        return any(
            names.isdisjoint((file.name, file.name.removesuffix(_PART)))
            for place, names in known.items()
            if place.is_dir()
            for file in place.iterdir()
        )

    def finished(self) -> dict[str, Any] | None:
        """The record of the finished work; None where there is none.

        Raises RunError where it is another's.
        """
        if not self.record.is_file():
            return None
        found = read_json(self.record, "config")
        self._go_on(found["config"])
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
            self.tidy()

    def tidy(self) -> None:
        """Remove what stood in ``progress`` for going on, and nothing else; nothing where work of another kind goes on.
        What cannot be removed is in nobody's way.
        """
        if self.started.is_file() and self.before() is None:
            return
        for pattern in (*self.kept, _LOCK, self.started.name):  # the config last: while it is there, this can go on
            for path in (*self.progress.glob(pattern), *self.progress.glob(pattern + _PART)):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    with suppress(OSError):
                        path.unlink()
        with suppress(OSError):  # something else is in it
            self.progress.rmdir()

    def _go_on(self, there: Any) -> None:
        """Compare with the config ``there``. What an earlier release did not tell (:data:`_SINCE`) nobody knows of what
        is there, so the record will not tell it either.
        """
        self.compare(there)
        for name in _SINCE:
            if name not in there.get("model", {}):
                self.config.get("model", {}).pop(name, None)

    def compare(self, there: Any) -> None:
        """Raise RunError, with the differences, where ``there`` is another config."""
        before, now = dict(_flat(there)), dict(_flat(self.config))
        told = before.get("model.fingerprint")
        if isinstance(told, str) and "-" not in told and "-" in str(now.get("model.fingerprint")):
            raise RunError(
                f"{self.path} holds a {self.kind} of an earlier release, which told models apart in another way; "
                "name a new folder: --out FOLDER"
            )
        if changed := self._changed(there):
            differ = "; ".join(f"{key}: {_told(key, before)} there, {_told(key, now)} now" for key in changed)
            raise RunError(f"{self.path} holds another {self.kind} ({differ}); name a new folder: --out FOLDER")

    def _changed(self, there: Any) -> list[str]:
        """The keys that tell ``there`` from this config."""
        before, now = dict(_flat(there)), dict(_flat(self.config))
        untold = tuple(f"model.{name}" for name in _SINCE if not any(_of(key, f"model.{name}") for key in before))
        free = (*NAMES, *self.free)
        differ = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        return [key for key in differ if key not in free and not _of(key, *untold)]


def command() -> str:
    """What this process was started with, as one would type it."""
    program = Path(sys.argv[0])
    own = program.stem == "bapa" or program.resolve() == Path(__file__).resolve().with_name("__main__.py")
    return shlex.join(["bapa", *sys.argv[1:]] if own else sys.argv)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes ``path`` as a whole or not at all."""
    part = path.with_name(path.name + _PART)
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


def read_json(
    path: Path, *needed: str, error: type[BapaError] = RunError, mend: str = "start again in a new folder"
) -> dict[str, Any]:
    """An object from a JSON file. ``needed``: keys that it has.

    Raises ``error``, with what to do to ``mend`` it, where the file holds none, or lacks one of these.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as why:
        raise error(f"{path} is not JSON ({why}); {mend}") from None
    if not isinstance(value, dict):
        raise error(f"{path} is not a JSON object; {mend}")
    if lacking := [name for name in needed if name not in value]:
        raise error(f"{path} does not tell its {', '.join(lacking)}; {mend}")
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


def _of(key: str, *names: str) -> bool:
    """Whether a flat key is one of ``names``, or within one."""
    return any(key == name or key.startswith(f"{name}.") for name in names)


def _told(key: str, values: Mapping[str, Any]) -> str:
    if key not in values:
        return "nothing"
    told = str(values[key])
    if not key.endswith("fingerprint"):
        return told
    first, *more = told[:_SHOWN], *told.split("-")[2:]  # what stands behind says how they were loaded
    return "-".join([first, *more])
