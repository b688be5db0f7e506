"""What the explorer shows: the answer, the margins over all cells and the attention, under each scheme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bapa import positions
from bapa.attach import balanced
from bapa.checkpoints import Loaded
from bapa.errors import ModelError
from bapa.families.anatomy import find
from bapa.families.pictures import Reader
from bapa.inference.answers import AnswerSet
from bapa.inference.forward import Asked, Forward
from bapa.inference.prompts import Prompts
from bapa.origin.attention import of_last_token
from bapa.probe import Question, Tile, digits
from bapa.probe.compose import Pixels, compose, ground
from bapa.probe.picture import plain
from bapa.probe.questions import YES_NO
from bapa.schemes import parse

TILES = 12  # built-in pictures
_WRITTEN = 16  # tokens of an answer
_DEFAULT_SIDE = 336  # pixels of a canvas for a model whose config names no image size


@dataclass(frozen=True)
class Shown:
    """What one scheme makes of a canvas.

    ``text``: what the model writes. ``margins``: for each cell the picture could stand in, row by row, the logit of yes
    minus the logit of no. ``mass``: the probability of yes or no as the next word, at the cell. ``attention``: what the
    last token of the prompt pays each image token, float (rows, cols), averaged over heads and layers; None where the
    model's image tokens do not fill one grid.
    """

    scheme: str
    text: str
    margins: list[float]
    mass: float
    attention: NDArray[np.float32] | None


class Explorer:
    """Asks one model about canvases of ``rows`` x ``cols`` cells under several schemes."""

    def __init__(self, loaded: Loaded, schemes: Sequence[str], rows: int = 3, cols: int = 3) -> None:
        self.name = loaded.name
        self.model: Any = loaded.model
        self.labels = [parse(scheme).label for scheme in schemes]
        for label in self.labels:
            with balanced(self.model, label):  # an error now rather than on the page
                pass
        self.rows, self.cols = rows, cols
        side = getattr(getattr(self.model.config, "vision_config", None), "image_size", _DEFAULT_SIDE)
        self.cell = max(8, (max(side) if isinstance(side, list | tuple) else side) // max(rows, cols))
        self.prompts = Prompts(loaded.processor, (rows * self.cell, cols * self.cell))
        self.forward = Forward(self.model, self.prompts, shared=0)
        self.answers = AnswerSet(loaded.processor.tokenizer)
        self.tiles: list[Tile] = list(digits.source(tiles=TILES, size=self.cell, seed=7))
        self._lock = Lock()  # a scheme is put on the model for a while; one question at a time
        self._margins: dict[tuple[Any, ...], tuple[list[float], list[float]]] = {}

    def question(self, tile: int) -> str:
        """The question that a built-in picture answers with yes."""
        return digits.QUESTION.format(caption=self.tiles[tile].caption)

    def canvas(self, picture: Image.Image, cell: int, crowded: bool) -> Pixels:
        """The canvas with ``picture``, made to fit, at ``cell``; ``crowded``: with digits in the other cells."""
        fitted = plain(picture)
        fitted.thumbnail((self.cell, self.cell))
        tiles: list[Pixels | None] = [None] * (self.rows * self.cols)
        if crowded:
            tiles = [self.tiles[(TILES - 1 - place) % TILES].image for place in range(len(tiles))]
        tiles[cell] = np.asarray(fitted)
        blank = ground(self.rows * self.cell, self.cols * self.cell, digits.GROUND)
        return compose(blank, tiles, self.cols, self.cell)

    def ask(self, picture: Image.Image, cell: int, question: str, crowded: bool) -> list[Shown]:
        """What each scheme makes of ``question`` about the canvas. Margins are remembered, so that moving the picture
        costs one answer.
        """
        canvases = [self.canvas(picture, place, crowded) for place in range(self.rows * self.cols)]
        shown = []
        with self._lock:
            for label in self.labels:
                key = (label, question, b"".join(canvas.tobytes() for canvas in canvases))
                with balanced(self.model, label):
                    if key not in self._margins:
                        self._margins = {k: v for k, v in self._margins.items() if k[1:] == key[1:]}  # of one question
                        self._margins[key] = self._read(canvases, question)
                    margins, mass = self._margins[key]
                    asked = self.forward.prepare([canvases[cell]], [[question]])
                    text = self.forward.texts(self.forward.see(asked), _WRITTEN)[0][0].strip()
                    attention = self._attention(asked)
                shown.append(Shown(label, text, margins, mass[cell], attention))
        return shown

    def _read(self, canvases: list[Pixels], question: str) -> tuple[list[float], list[float]]:
        logits = self.forward.logits(self.forward.see(self.forward.prepare(canvases, [[question]] * len(canvases))))
        asked = [Question("present", "present", question, "yes", YES_NO)] * len(canvases)
        margins, mass = [], []
        for answer in self.answers.read(logits[:, 0], asked):
            if answer.margin is None or answer.mass is None:
                raise ModelError(
                    f"{self.name} gives no answer: {answer.error}; another dtype may, e.g. --dtype float32"
                )
            margins.append(answer.margin)
            mass.append(answer.mass)
        return margins, mass

    @torch.inference_mode()
    def _attention(self, asked: Asked) -> NDArray[np.float32] | None:
        inputs = self.forward.see(asked).inputs
        layout = Reader(find(self.model), parse("native")).read(inputs, 0)
        with balanced(self.model, "native"):  # whose positions tell the grid where there are three axes
            layout = layout and layout.told(positions(self.model, **self.forward.see(asked).inputs).cpu())
        images = layout.images(0) if layout else []
        if len(images) != 1 or images[0].grid is None:
            return None
        last = of_last_token(self.model, inputs)[0]
        grid = images[0].grid
        return last[images[0].columns.to(last.device)].reshape(grid.rows, grid.cols).cpu().numpy()
