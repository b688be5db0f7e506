"""What the models are taught: in which row or column a thing stands, nine questions about one picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bapa.calibrate.words.reader import CELLS
from bapa.probe.questions import bare
from studies.aligned.ask import Reader
from studies.aligned.projector import pictures
from studies.fitted.places import LINES, said, wordings
from studies.pretrained import scenes
from studies.pretrained.scenes import PLACED, Block, Rows
from studies.words.ask import prompt

_OTHER = 6000  # keeps these draws apart from those of the projectors and of what is asked


@dataclass(frozen=True)
class Lesson:
    """``rows``: pictures with a question about each of their things, and the answers; ``image``: what stands in the
    place of the image tokens, (pictures, 81, width); ``line``: of each question, 0 for a row and 1 for a column.
    """

    rows: Rows
    image: Tensor
    line: Tensor


def lesson(reader: Reader, count: int, generator: torch.Generator) -> Lesson:
    """``count`` pictures by the hands that the projector learned from, augmented as for it; of every thing it is asked
    in which row or in which column it stands.
    """
    drawn = pictures(reader.bench, reader.named, count, generator, held_out=False)
    pixels = (scenes.paint(drawn, reader.bench.atlas, generator) - 127) / 128
    with torch.no_grad():
        image = reader.loaded.model.model.get_image_features(pixels).pooler_output
    line = torch.randint(len(LINES), (count, CELLS), generator=generator)
    asker = reader.bench.asker
    names = [[bare(asker.captions[thing]) for thing in things] for things in drawn.thing.tolist()]
    rows = asker.pack([blocks(reader, *one) for one in zip(names, line.tolist(), strict=True)])
    return Lesson(rows, image, line.flatten())


def stream(seed: int, step: int) -> torch.Generator:
    """What the pictures and questions of a step are drawn with; of what is tried, of
    steps below 0."""
    return torch.Generator().manual_seed(_OTHER + seed * 1_000_003 + step)


def blocks(reader: Reader, names: list[str], lines: list[int]) -> list[Block]:
    """The questions about a picture, after its image tokens, with their answers.

    ``names``: of its things; ``lines``: of each, 0 for its row and 1 for its column.
    """
    found: list[Block] = []
    head = len(reader.bench.asker.prefix) + scenes.TOKENS
    for cell, line in enumerate(lines):
        form = list(LINES)[line]
        written = prompt(reader.loaded.processor, scenes.TOKENS, *wordings(form, names)[cell])
        answer = said(reader.loaded.processor, form)[cell // 3 if form == "row" else cell % 3]
        found.append((written[head:], [answer], PLACED))
    return found
