"""How far a command is: a bar on a terminal, a line now and then where there is none (a log file, Slurm)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
FIRST, EVERY = 10.0, 60.0  # seconds to the first line, and from one to the next


class Step(Protocol):
    """One more step is taken. ``note``: what stands beside the count, a loss for example."""

    def __call__(self, note: str = "") -> None: ...


@contextmanager
def progress(what: str, total: int, done: int = 0, *, shown: bool = True) -> Iterator[Step]:
    """Yields what to call after each of ``total`` steps, of which ``done`` were taken before."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if shown and not console.is_terminal:
        yield Lines(what, total, done).step
        return
    told = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    columns = (*told, TextColumn("{task.fields[note]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task(what, total=total, completed=done, note="")

        def step(note: str = "") -> None:
            bar.update(task, advance=1, note=note)

        yield step


def counted(steps: Iterable[T], total: int, what: str) -> Iterator[T]:
    """The ``steps``, with progress while they are taken."""
    with progress(what, total) as step:
        for one in steps:
            yield one
            step()


class Lines:
    """Progress as plain lines on stderr. ``clock``: seconds, for tests."""

    def __init__(self, what: str, total: int, done: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.what, self.total, self.done, self.clock = what, total, done, clock
        self.before = done
        self.start = clock()
        self.due = self.start + FIRST

    def step(self, note: str = "") -> None:
        """One more step is taken, with a ``note`` beside the count."""
        self.done += 1
        now = self.clock()
        if now < self.due or self.done == self.total:
            return
        self.due = now + EVERY
        left = (now - self.start) / (self.done - self.before) * max(self.total - self.done, 0)
        told = ", ".join([f"{self.what}: {self.done} of {self.total}", *filter(None, [note])])
        print(f"{told}, about {duration(left)} left", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """``40 s``, ``2 min 30 s``, ``12 min`` or ``3 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if (tens := round(seconds / 10)) < 60:
        return f"{tens // 6} min {tens % 6 * 10} s" if tens % 6 else f"{tens // 6} min"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
