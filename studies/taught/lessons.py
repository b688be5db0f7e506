"""What the models are taught: where a thing stands and what is there, nine questions about one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from bapa.calibrate.words.reader import CELLS, OPENINGS, Wording
from bapa.probe.questions import bare
from bapa.probe.wording import WHERE_IN_WORDS, standard
from studies.aligned.ask import Reader
from studies.aligned.projector import pictures
from studies.fitted.places import LINES, said, wordings
from studies.pretrained import scenes
from studies.pretrained.scenes import PLACED, Block, Rows
from studies.reference.pointing import box
from studies.words.ask import prompt

BOX = "box"
PROBED = "row, as the probe asks"
BEGUN = "["  # an answer that is a box
LEFTS = ("0, ", "333, ", "667, ")  # left sides of boxes, as what follows them needs
NAMES = {f"name {number}": opening for number, opening in enumerate(OPENINGS, 1)}  # questions answered by names
_OTHER = 6000  # keeps these draws apart from those of the projectors and of what is asked


@dataclass(frozen=True)
class Subject:
    """``forms``: of the questions, rows and columns in words, a row as the probe `where` asks, a box or names.
    ``scheme``: of the image tokens' positions, while it is taught. ``codes``: what is added to the image tokens,
    (81, width) float32; by default nothing. ``shuffled``: whether the image tokens of every picture, with their
    codes, come in another order. ``central``: whether the thing that answers a question for a name is drawn with
    the weights of the main thing in a photograph; by default it is that of the question's own cell, so every cell
    alike.
    """

    forms: Sequence[str] = tuple(LINES)
    scheme: Literal["native", "bapa"] = "native"
    codes: Tensor = field(default_factory=lambda: torch.zeros(()))
    shuffled: bool = False
    central: bool = False


@dataclass(frozen=True)
class Lesson:
    """``rows``: pictures with a question about each of their things, and the answers; ``image``: what stands in the
    place of the image tokens, (pictures, 81, width). Of each token of an answer: ``question``, the number of its
    question, (tokens,), and ``among``, the three tokens one of which is picked, (tokens, 3); where nothing is to be
    picked, itself.
    """

    rows: Rows
    image: Tensor
    question: Tensor
    among: Tensor

    @property
    def telling(self) -> Tensor:
        """Whether a token of an answer tells where the thing stands, (tokens,) bool."""
        return (self.among != self.among[:, :1]).any(1)


def lesson(reader: Reader, subject: Subject, count: int, generator: torch.Generator) -> Lesson:
    """``count`` pictures by the hands that the projector learned from, augmented as for it; about every thing there is
    a question in one of the forms.
    """
    drawn = pictures(reader.bench, reader.named, count, generator, held_out=False)
    pixels = (scenes.paint(drawn, reader.bench.atlas, generator) - 127) / 128
    with torch.no_grad():
        image = reader.loaded.model.model.get_image_features(pixels).pooler_output + subject.codes
    if subject.shuffled:
        image = shuffled(image, generator)
    form = torch.randint(len(subject.forms), (count, CELLS), generator=generator)
    named_of = torch.arange(CELLS).expand(count, -1)
    if subject.central:
        named_of = torch.multinomial(scenes.MIDDLE.expand(count, -1), CELLS, replacement=True, generator=generator)
    asker = reader.bench.asker
    asked: list[list[Block]] = []
    among: list[list[list[int]]] = []
    for things, forms, main in zip(drawn.thing.tolist(), form.tolist(), named_of.tolist(), strict=True):
        names = [asker.captions[thing] for thing in things]
        chosen = [subject.forms[one] for one in forms]
        blocks, picked = zip(
            *(block(reader, names, main[n] if one in NAMES else n, one) for n, one in enumerate(chosen)), strict=True
        )
        asked.append(list(blocks))
        among += picked
    question = torch.arange(len(among)).repeat_interleave(torch.tensor([len(one) for one in among]))
    return Lesson(asker.pack(asked), image, question, torch.cat([torch.tensor(one) for one in among]))


def shuffled(image: Tensor, generator: torch.Generator) -> Tensor:
    """The image tokens of every picture in an order of its own. ``image``: (pictures, tokens, width)."""
    return torch.stack([one[torch.randperm(len(one), generator=generator)] for one in image])


def stream(seed: int, step: int) -> torch.Generator:
    """What the pictures and questions of a step are drawn with; of what is tried, of
    steps below 0."""
    return torch.Generator().manual_seed(_OTHER + seed * 1_000_003 + step)


def block(reader: Reader, captions: Sequence[str], cell: int, form: str) -> tuple[Block, list[list[int]]]:
    """The question about the thing of a cell, after the image tokens, with its answer; and for each token of the answer
    those among which it is picked. ``captions``: of the things of the picture.
    """
    processor = reader.loaded.processor
    head = len(reader.bench.asker.prefix) + scenes.TOKENS
    if form == BOX:
        whole = processor.tokenizer.encode(box(cell)[len(BEGUN) :], add_special_tokens=False)
        top = whole.index(comma(processor)) + 2  # what follows tells no more of the cell
        answer, asked = whole[: top + 1], pointing(captions[cell])
        among = [digits(processor) if at in (0, top) else [token] * 3 for at, token in enumerate(answer)]
    elif form in NAMES:
        asked, among = NAMES[form], [named(processor, captions, cell, reader.named.token.tolist())]
        answer = among[0][:1]
    elif form == PROBED:
        words = [processor.tokenizer.encode(one, add_special_tokens=False)[0] for one in LINES["row"]]
        answer, among = [words[cell // 3]], [words]
        asked = (WHERE_IN_WORDS.format(line="row", caption=captions[cell]), "")
    else:
        words = said(processor, form)
        answer = [words[cell // 3 if form == "row" else cell % 3]]
        asked, among = wordings(form, [bare(caption) for caption in captions])[cell], [words]
    return (prompt(processor, scenes.TOKENS, *asked)[head:], answer, PLACED), among


def named(processor: Any, captions: Sequence[str], cell: int, tokens: Sequence[int]) -> list[int]:
    """The token of the name of the thing in a cell, and those of two names that the picture does not show: the next two
    among ``tokens``, those of all names, round the end. So a name is as often among the wrong ones as it is right.
    """
    shown = [processor.tokenizer.encode(f" {bare(caption)}", add_special_tokens=False)[-1] for caption in captions]
    start = tokens.index(shown[cell])
    absent = [token for token in (*tokens[start:], *tokens[:start]) if token not in shown]
    return [shown[cell], *absent[:2]]


def pointing(caption: str) -> Wording:
    """The question of the probe's task ``point``."""
    return standard("point").format(caption=caption), BEGUN


def digits(processor: Any) -> list[int]:
    """The tokens that the sides of the boxes of a 3 x 3 grid begin with: 0, 333 and 667."""
    return [processor.tokenizer.encode(one, add_special_tokens=False)[0] for one in ("0", "333", "667")]


def comma(processor: Any) -> int:
    """The token behind a number of a box; a space follows it."""
    found: int = processor.tokenizer.encode("0, 0", add_special_tokens=False)[1]
    return found
