"""Folders that appear complete or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from bapa.errors import ProbeError

T = TypeVar("T")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into: it becomes ``out`` (new or empty) after the block, and is removed if that fails.

    Raises:
        ProbeError: the disk is full, or ``out`` cannot be written.
    """
    out = out.resolve()
    part = out.with_name(f".{out.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)  # of a build that was killed
        part.mkdir(parents=True)
        yield part
        if out.exists():
            out.rmdir()
        part.replace(out)
    except OSError as error:
        raise ProbeError(f"cannot write {out}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def empty(folder: Path) -> bool:
    """Whether a folder may be written: it does not exist, or holds nothing."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def progress(steps: Iterable[T], total: int, label: str) -> Iterable[T]:
    """The steps, with a bar on the terminal while they are taken."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(steps, label, total, console=console, transient=True, disable=not console.is_terminal)


def sync(folder: Path) -> None:
    """Waits until the files of a folder are on the disk."""
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
