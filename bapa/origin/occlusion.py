"""What the model looks at: hide a part of the canvas and see how far the answer's margin falls.

The masking study of arXiv 2509.21984, without a generation for every mask: masked canvases are answered in batches,
their pictures coming out of the processor's own pixels where hiding commutes with what it does to a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapa.errors import ConfigError
from bapa.families.anatomy import PICTURES
from bapa.inference.answers import AnswerSet
from bapa.inference.forward import Asked, Forward, Inputs
from bapa.probe import Item, Probe, Question
from bapa.stats.trials import ABSENT

Pixels = NDArray[np.uint8]
FILLS = "mean, ground, noise, or #rrggbb"


@dataclass(frozen=True)
class Masks:
    """Squares of ``size`` pixels every ``stride`` pixels. ``fill``: the canvas's mean colour, the probe's ``ground``
    colour, ``noise``, or a colour as ``#rrggbb``. ``batch_size``: masked canvases per forward.
    """

    size: int
    stride: int
    fill: str = "mean"
    batch_size: int = 36

    def checked(self, height: int, width: int) -> Masks:
        """Itself. Raises ConfigError where it does not fit a canvas of this size, or for an unknown fill."""
        self.boxes(height, width)
        filling(np.zeros((1, 1, 3), np.uint8), self.fill, (0, 0, 0))
        return self

    def boxes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Top left corners, row by row; the last of a row or column ends at the edge.

        Raises ConfigError where a mask does not fit.
        """
        if not self.stride >= 1 or not 1 <= self.size <= min(height, width):
            raise ConfigError(
                f"masks of {self.size} px every {self.stride} px do not fit a canvas of {width} x {height} px"
            )
        tops, lefts = (sorted({*range(0, side - self.size, self.stride), side - self.size}) for side in (height, width))
        return [(top, left) for top in tops for left in lefts]

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """How many masks stand above and beside each other."""
        boxes = self.boxes(height, width)
        return len({top for top, _ in boxes}), len({left for _, left in boxes})


def filling(canvas: Pixels, fill: str, ground: tuple[int, int, int]) -> Pixels:
    """What is shown in place of ``canvas`` where it is hidden, of its shape.

    Raises ConfigError for an unknown fill.
    """
    if fill == "noise":
        return np.random.default_rng(0).integers(0, 256, canvas.shape, dtype=np.uint8)
    if fill == "mean":
        colour = np.rint(canvas.reshape(-1, 3).mean(0))
    elif fill == "ground":
        colour = np.array(ground, float)
    else:
        try:
            if len(fill) != 7 or fill[0] != "#":
                raise ValueError
            colour = np.array([int(fill[at : at + 2], 16) for at in (1, 3, 5)], float)
        except ValueError:
            raise ConfigError(f"fill {fill!r}: accepted are {FILLS}") from None
    return np.broadcast_to(colour.astype(np.uint8), canvas.shape)


def hidden(canvas: Pixels, filled: Pixels, box: tuple[int, int], size: int) -> Pixels:
    """``canvas`` with the square at ``box`` replaced by ``filled``."""
    top, left = box
    masked = canvas.copy()
    masked[top : top + size, left : left + size] = filled[top : top + size, left : left + size]
    return masked


class Occluder:
    """Occlusion maps of one model."""

    def __init__(self, forward: Forward, ground: tuple[int, int, int], masks: Masks) -> None:
        self.forward, self.ground, self.masks = forward, ground, masks
        self.answers = AnswerSet(forward.prompts.processor.tokenizer)
        self.commutes: bool | None = None  # whether hiding pixels and processing them can change places

    def map(self, canvas: Pixels, questions: Sequence[Question]) -> NDArray[np.float64]:
        """By how much each mask lowers the margin of each question: (questions, rows, cols) of masks."""
        boxes = self.masks.boxes(*canvas.shape[:2])
        filled = filling(canvas, self.masks.fill, self.ground)
        texts = [[question.text for question in questions]]
        plain = self._margins(self.forward.prepare([canvas], texts), questions)
        found = []
        for start in range(0, len(boxes), self.masks.batch_size):
            part = boxes[start : start + self.masks.batch_size]
            found.append(plain - self._margins(self._prepare(canvas, filled, part, texts), questions))
        return np.concatenate(found).T.reshape(len(questions), *self.masks.shape(*canvas.shape[:2]))

    def _margins(self, asked: Asked, questions: Sequence[Question]) -> NDArray[np.float64]:
        logits = self.forward.logits(self.forward.see(asked))
        read = self.answers.read(logits.flatten(0, 1), [*questions] * len(logits))
        return np.array([answer.margin for answer in read], float).reshape(len(logits), len(questions))

    def _prepare(
        self, canvas: Pixels, filled: Pixels, boxes: Sequence[tuple[int, int]], texts: Sequence[Sequence[str]]
    ) -> Asked:
        size = self.masks.size
        if self.commutes is None:
            self.commutes = self._try(canvas, filled, texts)
        if not self.commutes:
            return self.forward.prepare([hidden(canvas, filled, box, size) for box in boxes], [*texts] * len(boxes))
        both = self.forward.prepare([canvas, filled], [*texts] * 2)
        return Asked(_composed(both.inputs, boxes, size), both.prompts[:1] * len(boxes))

    def _try(self, canvas: Pixels, filled: Pixels, texts: Sequence[Sequence[str]]) -> bool:
        """Whether hiding in the processed pixels gives the processor's own pixels of hidden canvases."""
        both = self.forward.prepare([canvas, filled], [*texts] * 2)
        name = _pixels(both.inputs)
        if name is None or both.inputs[name].shape[-2:] != canvas.shape[:2] or len(both.inputs[name]) != 2:
            return False
        boxes = self.masks.boxes(*canvas.shape[:2])
        some = [boxes[0], boxes[len(boxes) // 2], boxes[-1]]
        own = self.forward.prompts.inputs([hidden(canvas, filled, box, self.masks.size) for box in some], texts[0][0])
        return torch.equal(own[name], _composed(both.inputs, some, self.masks.size)[name])


def _pixels(inputs: Inputs) -> str | None:
    return next((n for n, v in inputs.items() if PICTURES.match(n) and isinstance(v, Tensor)), None)


def _composed(inputs: Inputs, boxes: Sequence[tuple[int, int]], size: int) -> Inputs:
    """Inputs of a canvas and of its filling to those of the masked canvases."""
    name = _pixels(inputs)
    pixels = {}
    if name is not None:
        canvas, filled = inputs[name]
        masked = canvas.repeat(len(boxes), *[1] * canvas.dim())
        for row, (top, left) in zip(masked, boxes, strict=True):
            row[..., top : top + size, left : left + size] = filled[..., top : top + size, left : left + size]
        pixels[name] = masked
    return {n: pixels.get(n, v[:1].repeat(len(boxes), *[1] * (v.dim() - 1))) for n, v in inputs.items()}


def painted(drops: NDArray[np.float64], masks: Masks, height: int, width: int) -> NDArray[np.float64]:
    """The map in pixels, (height, width): each takes the mean of the masks over it. ``drops``: (mask rows, mask
    cols).
    """
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for (top, left), drop in zip(masks.boxes(height, width), drops.ravel(), strict=True):
        total[top : top + masks.size, left : left + masks.size] += drop
        count[top : top + masks.size, left : left + masks.size] += 1
    return total / np.maximum(count, 1)  # strides wider than a mask leave gaps, where nothing falls


def by_cell(values: NDArray[np.float64], rows: int, cols: int) -> NDArray[np.float64]:
    """Mean over each cell, (cells,), of a map in pixels, (height, width)."""
    return values.reshape(rows, values.shape[0] // rows, cols, -1).mean((1, 3)).ravel()


def agreement(values: NDArray[np.float64], target: int, rows: int, cols: int) -> dict[str, float]:
    """How well a map in pixels points at the target's cell: ``pointing``, whether its maximum lies there (chance: one
    in the number of cells); ``iou``, overlap of the cell with as large an area of the highest values.
    """
    inside = np.zeros(values.shape, bool)
    high, wide = values.shape[0] // rows, values.shape[1] // cols
    row, col = divmod(target, cols)
    inside[row * high : (row + 1) * high, col * wide : (col + 1) * wide] = True
    highest = np.zeros(values.shape, bool)
    highest.flat[np.argsort(-values.ravel(), kind="stable")[: high * wide]] = True
    return {
        "pointing": float(inside[values == values.max()].mean()),
        "iou": float((inside & highest).sum() / (inside | highest).sum()),
    }


def study(
    forward: Forward, probe: Probe, items: Sequence[Item], masks: Masks, step: Callable[[], None]
) -> dict[str, Any]:
    """Maps of the question about the target, averaged over ``items``, one for each cell the target stands in.

    ``step`` is called after each item.
    """
    occluder = Occluder(forward, probe.colour, masks)
    rows, cols = probe.rows, probe.cols
    maps = np.zeros((len(items), probe.cells, *masks.shape(probe.height, probe.width)))
    cells = np.zeros((len(items), probe.cells, probe.cells))
    scores = {name: np.zeros((len(items), probe.cells)) for name in ("pointing", "iou")}
    for number, item in enumerate(items):
        for cell in range(probe.cells):
            about_key = [q for q in probe.questions(item, cell) if q.kind not in ABSENT][:1]
            maps[number, cell] = occluder.map(probe.compose(item, cell), about_key)[0]
            values = painted(maps[number, cell], masks, probe.height, probe.width)
            cells[number, cell] = by_cell(values, rows, cols)
            for name, score in agreement(values, cell, rows, cols).items():
                scores[name][number, cell] = score
        step()
    return {
        "items": len(items),
        "masks": {**vars(masks), "shape": list(masks.shape(probe.height, probe.width))},
        "maps": maps.mean(0).tolist(),
        "by_cell": cells.mean(0).tolist(),
        "pointing": scores["pointing"].mean(0).tolist(),
        "iou": scores["iou"].mean(0).tolist(),
        "chance": {"pointing": 1 / probe.cells, "iou": 1 / (2 * probe.cells - 1)},
    }
