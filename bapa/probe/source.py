"""Where captioned pictures come from: the built-in digits, a folder, a parquet file, a Hugging Face data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from bapa.errors import ConfigError
from bapa.probe.design import PROMPTS, Design
from bapa.probe.tile import LeftOut, Tile


@dataclass(frozen=True)
class Columns:
    """Which columns of a source hold what; ``image`` defaults to ``file_name`` in a folder and to ``image`` elsewhere.

    ``group`` names a column whose equal values make two pictures near misses of each other (e.g. a class); without it, similar captions do.
    """

    image: str | None = None
    caption: str = "caption"
    group: str | None = None
    question: str = "question"
    answer: str = "answer"


class Source(Protocol):
    """Captioned pictures in an order drawn from the design's seed. ``group`` is the attribute that near misses share, if there is one."""

    kind: str
    name: str
    group: str | None

    def __len__(self) -> int: ...

    def filled(self, design: Design) -> Design:
        """The design with what suits this source where nothing was chosen."""

    def describe(self) -> dict[str, Any]:
        """What identifies the source: the same description, the same pictures."""

    def tiles(self, design: Design) -> Iterator[Tile | LeftOut]:
        """The pictures one by one, no side longer than ``design.cell``."""


class Digits:
    """Tinted handwritten digits, drawn from scans that the reference models have never seen."""

    kind = name = "digits"
    group: str | None = "digit"

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def filled(self, design: Design) -> Design:
        from bapa.probe.digits import QUESTION

        prompt = QUESTION if design.task == "match" else PROMPTS[design.task]
        return design.filled(cell=24, background="grey", items=240, prompts=(prompt,))

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "count": self.count}

    def tiles(self, design: Design) -> Iterator[Tile | LeftOut]:
        from bapa.probe import digits

        return digits.source(split="probe", tiles=self.count, size=design.cell, seed=design.seed)


def open_source(source: str, design: Design, columns: Columns, split: str) -> Source:
    """The source that ``source`` names.

    Raises:
        ProbeError: nothing of that name, or it holds no captioned pictures.
        ConfigError: a task that the source cannot serve.
    """
    from bapa.probe import records

    if source == "digits":
        if design.task == "vqa":
            raise ConfigError("digits come without questions of their own: the task vqa needs a source with the columns question and answer")
        return Digits(count=2 * (design.items or 240) + 2 * design.cells)
    if records.Folder.recognise(Path(source)):
        return records.Folder(Path(source), columns)
    return records.open_dataset(source, columns, split)
