"""Training pictures and questions, drawn on the fly: up to nine drawn things in the cells of a 3 x 3 grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bapa.probe.design import PLACES
from studies.pretrained.build import GRID
from studies.pretrained.parts import CELL_PX, TRAINED

Placement = Literal["uniform", "photo"]
Block = tuple[list[int], list[int], int]  # question, answer, and its kind: one of KINDS
KINDS = MATCH, TOLD, PLACED = 0, 1, 2  # is it there, what is there, where is it
CELLS = 9
_HERE = "{question}"
TOKENS = GRID * GRID
PROMPT = "Is there {caption} in the picture? Answer yes or no."
CAPTION = "What is in the picture?"
WHERE = "In which {line} is {caption}? Answer with one word."
ORDER = "Row by row, does {caption} come before {other}? Answer yes or no."
# In photographs the main thing stands near the middle: the weights of the nine cells for it.
MIDDLE = torch.tensor([0.025, 0.1, 0.025, 0.1, 0.5, 0.1, 0.025, 0.1, 0.025])
MAIN_ASKED = 0.5  # how often, of the things shown, it is the main one that is asked about


@dataclass(frozen=True)
class Scenes:
    """``thing``, ``hand``: (pictures, 9) long, row by row, -1 where a cell is empty; ``main``: (pictures,) the cell of
    the main thing, ``shown``: (pictures,) how many things there are.
    """

    thing: Tensor
    hand: Tensor
    main: Tensor
    shown: Tensor


@dataclass(frozen=True)
class Rows:
    """Prompts with several questions each, that see the picture but not each other.

    ``ids``, ``block``, ``offset``: (rows, length) long: tokens; the question each belongs to (0: what comes before the
    image, -1: padding); how far it stands in its question. ``row``, ``at``, ``target``, ``kind``: (answers,) long:
    where a token is to be predicted, which, and of which of the ``KINDS``.
    """

    ids: Tensor
    block: Tensor
    offset: Tensor
    row: Tensor
    at: Tensor
    target: Tensor
    kind: Tensor


def draw(
    there: Tensor,
    count: int,
    things: tuple[int, int],
    placement: Placement,
    generator: torch.Generator,
    hands: Sequence[int] = range(len(TRAINED)),
) -> Scenes:
    """Scenes of ``things`` (fewest, most) things by the given hands. ``there``: (hands, things) bool: what is drawn."""
    shown = torch.randint(things[0], things[1] + 1, (count,), generator=generator)
    first = torch.zeros(count, CELLS)
    weight = MIDDLE.expand(count, -1) if placement == "photo" else torch.full((count, CELLS), 1 / CELLS)
    main = torch.multinomial(weight, 1, generator=generator)
    first.scatter_(1, main, 2.0)
    rank = (torch.rand(count, CELLS, generator=generator) + first).argsort(1, descending=True).argsort(1)
    which = torch.rand(count, there.shape[1], generator=generator).argsort(1)[:, :CELLS]
    hand = torch.tensor(list(hands))[torch.randint(len(hands), (count, CELLS), generator=generator)]
    hand = torch.where(there[hand, which], hand, torch.tensor(hands[0]))  # the first hand has drawn everything
    taken = rank < shown[:, None]
    return Scenes(torch.where(taken, which, -1), torch.where(taken, hand, -1), main[:, 0], shown)


def paint(scenes: Scenes, atlas: Tensor, generator: torch.Generator, plain: bool = False) -> Tensor:
    """Pictures (n, 3, 288, 288) float32 in 0..255 on the atlas's device.

    Unless ``plain``: each drawing 0.72 to 1 of its cell in size, shifted in it, turned by up to 12 degrees, mirrored
    half the time, its colours changed a little, on a ground of its own for every picture.
    """
    device, count = atlas.device, len(scenes.thing)
    filled = scenes.thing.clamp(min=0).to(device), scenes.hand.clamp(min=0).to(device)
    tiles = atlas[filled[1], filled[0]].flatten(0, 1).float()
    tiles[:, 3] *= (scenes.thing >= 0).flatten().to(device)[:, None, None]
    ground = torch.full((count, 3), 255.0)
    if not plain:
        n = len(tiles)
        uniform = torch.rand(8, n, generator=generator)
        size = 0.72 + 0.28 * uniform[0]
        turn = (uniform[1] - 0.5) * 2 * 0.21
        mirror = torch.where(uniform[2] < 0.5, -1.0, 1.0)
        shift = (uniform[3:5] - 0.5) * 2 * (1 - size)
        cos, sin = turn.cos() / size, turn.sin() / size
        theta = torch.stack([mirror * cos, mirror * -sin, sin, cos], -1).view(n, 2, 2)
        theta = torch.cat([theta, -(theta @ shift.T[..., None])], -1).to(device)
        alpha = tiles[:, 3:] / 255
        tiles = torch.cat([tiles[:, :3] * alpha, tiles[:, 3:]], 1)  # colour counts as far as it covers
        grid = F.affine_grid(theta, [n, 4, CELL_PX, CELL_PX], align_corners=False)
        tiles = F.grid_sample(tiles, grid, align_corners=False)
        tint = 1 + 0.3 * (torch.rand(n, 3, 1, 1, generator=generator) - 0.5).to(device)
        tiles = torch.cat([tiles[:, :3] * tint, tiles[:, 3:]], 1)
        ground = 255 - torch.rand(count, 3, generator=generator) ** 2 * 130
    else:
        tiles = torch.cat([tiles[:, :3] * tiles[:, 3:] / 255, tiles[:, 3:]], 1)
    bare = ground.to(device).repeat_interleave(CELLS, 0)[..., None, None]
    tiles = tiles[:, :3] + bare * (1 - tiles[:, 3:] / 255)
    canvas = tiles.view(count, 3, 3, 3, CELL_PX, CELL_PX).permute(0, 3, 1, 4, 2, 5)
    return canvas.reshape(count, 3, 3 * CELL_PX, 3 * CELL_PX).clamp(0, 255)


class Asker:
    """Writes questions about scenes as tokens, in the chat format of the model's processor."""

    def __init__(self, processor: Any, captions: Sequence[str]) -> None:
        words = processor.tokenizer
        self.tokenizer = words
        self.captions = list(captions)
        self.image = words.convert_tokens_to_ids(processor.image_token)
        self.end = words.convert_tokens_to_ids("<|im_end|>")
        self.yes, self.no = (words.encode(word, add_special_tokens=False)[0] for word in ("Yes", "No"))
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": _HERE}]}]
        prompt = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        head, tail = prompt.split(processor.image_token)
        self.prefix: list[int] = words.encode(head, add_special_tokens=False)
        self.around = tail.split(_HERE)
        self.ask = [self._tail(PROMPT.format(caption=caption)) for caption in self.captions]
        self.lines = {line: [self._words(word.capitalize())[0] for word in words] for line, words in PLACES.items()}
        self.tell = self._tail(CAPTION)
        # A comma begins a word of its own for the tokenizer, so a list's tokens are those of its parts.
        self.begin = [self._words(caption[0].upper() + caption[1:]) for caption in self.captions]
        self.go_on = [self._words(f", {caption}") for caption in self.captions]
        self.stop = [*self._words("."), self.end]

    def _words(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def _tail(self, text: str) -> list[int]:
        return self._words(text.join(self.around))

    def blocks(
        self, scenes: Scenes, questions: int, placement: Placement, generator: torch.Generator
    ) -> list[list[Block]]:
        """For each scene a caption, ``questions`` yes/no questions, half of them about something not shown, one about
        the row and one about the column of a thing, and one about which of two things comes first.
        """
        return [self._blocks(scenes, row, questions, placement, generator) for row in range(len(scenes.thing))]

    def _blocks(
        self, scenes: Scenes, row: int, questions: int, placement: Placement, generator: torch.Generator
    ) -> list[Block]:
        def below(n: int) -> int:
            return int(torch.randint(n, (1,), generator=generator))

        cells = [cell for cell in range(CELLS) if scenes.thing[row, cell] >= 0]
        main = int(scenes.main[row])
        order = [cells[index] for index in torch.randperm(len(cells), generator=generator).tolist()]
        if placement == "photo":  # people name the main thing first
            order = [main, *(cell for cell in order if cell != main)]
        named = [int(scenes.thing[row, cell]) for cell in order]
        said = [*self.begin[named[0]], *(token for thing in named[1:] for token in self.go_on[thing]), *self.stop]
        blocks: list[Block] = [(self.tell, said, TOLD)]
        here = set(scenes.thing[row, cells].tolist())
        for number in range(questions):
            if number % 2 == 0:
                to_main = placement == "photo" and torch.rand(1, generator=generator).item() < MAIN_ASKED
                asked = int(scenes.thing[row, main if to_main else cells[below(len(cells))]])
            else:
                asked = below(len(self.captions))
                while asked in here:
                    asked = below(len(self.captions))
            blocks.append((self.ask[asked], [self.yes if number % 2 == 0 else self.no], MATCH))
        return [*blocks, *self._placed({cell: int(scenes.thing[row, cell]) for cell in cells}, below)]

    def _placed(self, shown: dict[int, int], below: Callable[[int], int]) -> Iterator[Block]:
        """Questions about where the things of a scene are. ``shown``: thing by cell; ``below``: draws a number."""
        cells = list(shown)
        for line, answers in self.lines.items():
            cell = cells[below(len(cells))]
            asked = WHERE.format(line=line, caption=self.captions[shown[cell]])
            yield self._tail(asked), [answers[cell // 3 if line == "row" else cell % 3]], PLACED
        if len(cells) > 1:
            one = cells.pop(below(len(cells)))
            other = cells[below(len(cells))]
            asked = ORDER.format(caption=self.captions[shown[one]], other=self.captions[shown[other]])
            yield self._tail(asked), [self.yes if one < other else self.no], PLACED

    def pack(self, asked: list[list[Block]]) -> Rows:
        """Questions with their answers and kinds, row by row."""
        ids, block, offset = [], [], []
        where: list[tuple[int, int, int, int]] = []
        head = [*self.prefix, *[self.image] * TOKENS]
        for row, blocks in enumerate(asked):
            line, mark, place = list(head), [0] * len(head), [0] * len(head)
            for number, (question, answer, kind) in enumerate(blocks, 1):
                start = len(line) + len(question)
                where += [(row, start + i - 1, token, kind) for i, token in enumerate(answer)]
                line += [*question, *answer]
                mark += [number] * (len(question) + len(answer))
                place += range(len(question) + len(answer))
            ids.append(torch.tensor(line))
            block.append(torch.tensor(mark))
            offset.append(torch.tensor(place))

        def pad(rows: list[Tensor], value: int) -> Tensor:
            longest = -max(map(len, rows)) // 16 * -16  # whole blocks of the attention kernels
            padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
            return torch.nn.functional.pad(padded, (0, longest - padded.shape[1]), value=value)

        row, at, target, kind = torch.tensor(where).T
        return Rows(pad(ids, self.end), pad(block, -1), pad(offset, 0), row, at, target, kind)


def positions(rows: Rows, prefix: int, scheme: str) -> Tensor:
    """Rotary positions (rows, length) of the tokens under ``native`` or ``bapa``, as ``bapa.positions`` gives them."""
    place = torch.arange(rows.ids.shape[1])
    image = (place >= prefix) & (place < prefix + TOKENS)
    resume = prefix + (TOKENS if scheme == "native" else 1)
    before = place.where(~image | torch.tensor(scheme == "native"), torch.tensor(prefix))
    return torch.where(rows.block <= 0, before.expand(len(rows.ids), -1), resume + rows.offset)


def mask(rows: Rows) -> Tensor:
    """Who may see whom, (rows, 1, length, length) bool: earlier tokens of the picture and of the own question."""
    length = rows.ids.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=rows.ids.device).tril()
    own = rows.block[:, :, None] == rows.block[:, None, :]
    return ((own | (rows.block[:, None, :] == 0)) & earlier)[:, None]
