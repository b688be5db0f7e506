"""Folders that appear complete or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bapa.errors import ConfigError, ProbeError

PART, LOCK = ".part", ".lock"


@contextmanager
def new_folder(out: Path, last: str) -> Iterator[Path]:
    """A folder to write into: what it holds after the block becomes that of ``out`` (new or empty), whose file ``last``
    says that it is complete. If the block fails, nothing is left.

    A new folder appears at once. One that is there stays (it may be a mounted one, which cannot be replaced) and gets
    its files one by one.

    Raises:
        ProbeError: another process writes to ``out``, the disk is full, or ``out`` cannot be written.
    """
    out = out.resolve()
    part = out / PART if out.is_dir() else out.with_name(f".{out.name}{PART}")
    try:
        part.mkdir(parents=True, exist_ok=True)
        with FileLock(part / LOCK, timeout=0):
            try:
                _clear(part)  # of a build that was killed
                yield part
                if part.parent == out:
                    for path in sorted(part.iterdir(), key=lambda path: path.name == last):
                        if path.name != LOCK:
                            path.replace(out / path.name)
                else:
                    part.replace(out)
                    (out / LOCK).unlink()
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except Timeout:
        raise ProbeError(
            f"another process is writing to {out}; wait for it and repeat the command, or choose another folder: "
            "--out FOLDER"
        ) from None
    except OSError as error:
        raise ProbeError(f"cannot write {out}: {error.strerror or error}") from None


def _clear(part: Path) -> None:
    for path in part.iterdir():
        if path.name != LOCK:
            path.unlink()


def empty(folder: Path) -> bool:
    """Whether a folder may be written: it does not exist, or holds nothing but what an interrupted build left."""
    return not folder.exists() or (folder.is_dir() and all(path.name == PART for path in folder.iterdir()))


def outside(out: Path, source: Path) -> None:
    """Check that ``out`` lies neither in the folder ``source`` nor in a probe, of which it would become a part.

    Raises:
        ConfigError: it does.
    """
    out = out.resolve()
    if source.is_dir() and out.is_relative_to(source.resolve()):
        raise ConfigError(f"{out} lies in its own source {source}; choose a folder beside it: --out FOLDER")
    for above in out.parents:
        if (above / "probe.json").is_file() and (above / "tiles.parquet").is_file():
            raise ConfigError(f"{out} lies in the probe {above}; choose a folder beside it: --out FOLDER")
