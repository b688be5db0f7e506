"""Where captioned pictures come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bapa.errors import ConfigError
from bapa.probe.design import PLACES, PROMPTS, Design
from bapa.probe.tile import LeftOut, Tile


@dataclass(frozen=True)
class Columns:
    """Which columns of a source hold what; ``image`` is ``file_name`` in a folder and ``image`` elsewhere.

    ``group`` names a column whose equal values make two pictures near misses of each other (e.g. a class); without it,
    similar captions do.
    """

    image: str | None = None
    caption: str = "caption"
    group: str | None = None
    question: str = "question"
    answer: str = "answer"


class Source(Protocol):
    """Captioned pictures in an order drawn from the design's seed.

    ``group`` is the attribute that near misses share, if there is one.
    """

    group: str | None

    def filled(self, design: Design) -> Design:
        """The design with what suits this source where nothing was chosen."""

    def wanted(self, design: Design) -> int:
        """How many tiles serve the design; reading stops there."""

    def describe(self) -> dict[str, Any]:
        """What identifies the source: the same description, the same pictures."""

    def tiles(self, design: Design) -> Iterator[Tile | LeftOut]:
        """The pictures one by one, no side longer than ``design.cell``."""


class Digits:
    """Tinted handwritten digits, drawn from scans that the reference models have never seen."""

    group: str | None = "digit"

    def filled(self, design: Design) -> Design:
        from bapa.probe.digits import QUESTIONS

        words = design.answers != "letters"  # the reference models read and write words only
        prompt = QUESTIONS.get(design.task, PROMPTS[design.task]) if words else PROMPTS[design.task]
        design = design.filled(cell=24, background="grey", items=240, prompts=(prompt,))
        if design.task not in ("where", "count"):
            return design
        few = design.task == "count" or max(design.rows, design.cols) <= len(PLACES["row"])
        return design.filled(answers="words" if words and few else "letters")

    def wanted(self, design: Design) -> int:
        return pool_size(design.items or 0, design)

    def describe(self) -> dict[str, Any]:
        return {"kind": "digits", "name": "digits"}

    def tiles(self, design: Design) -> Iterator[Tile | LeftOut]:
        from bapa.probe import digits

        return digits.source("probe", tiles=self.wanted(design), size=design.cell or 0, seed=design.seed)


def pool_size(items: int, design: Design) -> int:
    """Pictures that give ``items`` keys a varied company."""
    return 2 * items + 2 * design.cells


def open_source(source: str, design: Design, columns: Columns, split: str) -> Source:
    """The source that ``source`` names.

    Raises:
        ProbeError: nothing of that name, or it holds no captioned pictures.
        ConfigError: a design that the source cannot serve.
    """
    from bapa.probe import canvases, records

    if source == "digits":
        if design.task == "vqa":
            raise ConfigError(
                "digits have no questions of their own; vqa needs a source with columns question and answer"
            )
        if design.background == "natural":
            raise ConfigError("digits have no natural background; accepted are white, grey and mean")
        return Digits()
    path = Path(source)
    if canvases.recognise(path):
        return canvases.Canvases(path, design)
    if records.Folder.recognise(path):
        return records.Folder(path, columns)
    return records.open_dataset(source, columns, split)
