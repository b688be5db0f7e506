"""How long each step of a check took, over all commands that worked on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bapa.files import read_json, write_json


class Clock:
    """Seconds by step, kept in ``file`` so that a command that goes on adds to them.

    ``cut_off``: whether a command was killed within a step, so that some of its time is not known.
    """

    def __init__(self, file: Path) -> None:
        found: dict[str, Any] = {"seconds": {}, "within": None, "cut_off": False}
        if file.is_file():
            found = read_json(file, *found)
        self.file = file
        self.seconds: dict[str, float] = found["seconds"]
        self.cut_off: bool = found["cut_off"] or found["within"] is not None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step."""
        self._keep(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
        self._keep(None)

    def _keep(self, within: str | None) -> None:
        write_json(self.file, {"seconds": self.seconds, "within": within, "cut_off": self.cut_off})
