"""Opening a source by its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bapa.errors import ConfigError
from bapa.probe.canvases import Canvases, recognise
from bapa.probe.design import PLACES, Design
from bapa.probe.digits import DIGITS, QUESTIONS
from bapa.probe.emoji import Emoji
from bapa.probe.pages import Pages
from bapa.probe.photos import backdrops
from bapa.probe.records import Folder
from bapa.probe.source import Columns, Source, pool_size
from bapa.probe.taken import check_source, check_task
from bapa.probe.tile import LeftOut, Tile
from bapa.probe.wording import standard

_BOUND = 60  # cells up to which digits that share neither figure nor colour with the near miss fill a canvas


class Digits:
    """Tinted handwritten digits, drawn from scans that the reference models have never seen."""

    group: str | None = "digit"
    read = 0

    def filled(self, design: Design) -> Design:
        words = design.answers != "letters"  # the reference models read and write words only
        if design.task in ("where", "count", "evidence"):
            design = design.filled(answers="words" if words and _worded(design) else "letters")
        if design.task != "evidence":  # of which the prompt asks by yes and no
            words = design.answers != "letters"
        told = standard(design.task, design.kind, design.answers)
        prompt = QUESTIONS.get(design.task, told) if words else told
        design = design.filled(cell=72 if design.places.varied else 24, background="grey", items=240, prompts=(prompt,))
        if (
            design.cells > _BOUND and design.distractors == "source"
        ):  # so many digits unlike what is asked about are not to be had
            design = design.filled(lures="canvas")
        return design

    def backdrops(self, design: Design) -> Iterator[Tile]:
        return backdrops(design) if design.kind in ("scene", "crop") else iter(())

    def wanted(self, design: Design) -> int:
        return pool_size(design.items or 0, design)

    def describe(self) -> dict[str, Any]:
        return {"kind": "digits", "name": "digits"}

    def stamp(self, design: Design, read: int) -> str:
        return ""  # the description says it all

    def tiles(self, design: Design) -> Iterator[Tile | LeftOut]:
        from bapa.probe import digits

        return digits.source(
            "probe",
            tiles=self.wanted(design),
            size=design.cell or 0,
            seed=design.seed,
            clear=design.kind in ("scene", "crop"),
        )


def _worded(design: Design) -> bool:
    """Whether there is a word for each answer about digits."""
    if design.task == "count":
        return True
    if design.line:
        return design.cols < len(DIGITS)  # the reference models count from one to nine
    return max(design.rows, design.cols) <= len(PLACES["row"])


def open_source(source: str, design: Design, columns: Columns, split: str) -> Source:
    """The source that ``source`` names, as text where the slots are regions of a page.

    Raises:
        ProbeError: nothing of that name, or it holds no captioned pictures.
        ConfigError: a design that the source cannot serve.
    """
    check_task(design, columns)
    found = _open(source, design, columns, split)
    return Pages(found) if design.kind == "page" else found


def _open(source: str, design: Design, columns: Columns, split: str) -> Source:
    if source == "digits":
        check_source("digits are drawn, not read from a table, and have no splits", columns, split)
        if design.task == "vqa":
            raise ConfigError(
                "digits have no questions of their own; vqa needs a source with columns question and answer"
            )
        if design.background == "natural" and design.kind not in ("scene", "crop"):
            raise ConfigError("digits have no natural background; accepted are white, grey and mean")
        return Digits()
    path = Path(source)
    if source == "emoji" or Emoji.recognise(path):
        check_source(f"{source} is a package of drawings, without columns and splits", columns, split)
        if design.task == "vqa":
            raise ConfigError(
                "drawings have no questions of their own; vqa needs a source with columns question and answer"
            )
        return Emoji(None if source == "emoji" else path, design)
    if recognise(path):
        check_source(
            f"{source} holds ready-made canvases, whose columns have fixed names, and no splits", columns, split
        )
        return Canvases(path, design)
    if Folder.recognise(path):
        check_source(f"{source} is a folder of pictures, which has no splits", columns, split, table=True)
        return Folder(path, columns, design)
    from bapa.probe.dataset import open_dataset  # datasets takes a while to import

    return open_dataset(source, columns, design, split)
