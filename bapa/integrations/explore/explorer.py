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
from bapa.errors import ConfigError, ModelError
from bapa.families.anatomy import find
from bapa.families.pictures import Reader
from bapa.inference.answers import AnswerSet
from bapa.inference.backend import check_slots, prompts_of
from bapa.inference.forward import Asked, Forward
from bapa.inference.prompts import Prompts
from bapa.origin.attention import of_last_token
from bapa.probe import Probe, Question, Tile, digits
from bapa.probe.compose import Pixels, compose, ground
from bapa.probe.picture import plain
from bapa.probe.questions import YES_NO
from bapa.probe.slots import Slots
from bapa.schemes import parse

TILES = 12  # built-in pictures, or items of a probe
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
    """Asks one model about canvases under several schemes: of ``rows`` x ``cols`` cells, or those of the first items of
    ``probe``, whatever its slots.

    Raises ModelError where the model takes no clips and the slots of the probe are frames; ConfigError where the probe
    asks nothing by yes and no.
    """

    def __init__(
        self, loaded: Loaded, schemes: Sequence[str], rows: int = 3, cols: int = 3, probe: Probe | None = None
    ) -> None:
        self.name = loaded.name
        self.model: Any = loaded.model
        self.labels = [parse(scheme).label for scheme in schemes]
        for label in self.labels:
            with balanced(self.model, label):  # an error now rather than on the page
                pass
        self.probe, self.slots = probe, probe.slots if probe else Slots("grid", rows, cols)
        self.rows, self.cols = self.slots.rows, self.slots.cols
        side = getattr(getattr(self.model.config, "vision_config", None), "image_size", _DEFAULT_SIDE)
        self.cell = max(8, (max(side) if isinstance(side, list | tuple) else side) // max(rows, cols))
        if probe is not None:
            check_slots(loaded.processor, probe)
            _check_asks(probe)
        self.size = (probe.height, probe.width) if probe else (rows * self.cell, cols * self.cell)
        if probe is None:
            self.prompts = Prompts(loaded.processor, self.size, slots=self.slots)
        else:
            self.prompts = prompts_of(loaded, probe)
        self.forward = Forward(self.model, self.prompts, shared=0)
        self.answers = AnswerSet(loaded.processor.tokenizer)
        self.tiles = _targets(probe) if probe else list(digits.source(tiles=TILES, size=self.cell, seed=7))
        self._lock = Lock()  # a scheme is put on the model for a while; one question at a time
        self._margins: dict[tuple[Any, ...], tuple[list[float], list[float]]] = {}

    def question(self, tile: int) -> str:
        """The question that a built-in picture, or the target of an item, answers with yes."""
        if self.probe is not None:
            return self.probe.questions(self.probe.items[tile], 0)[0].text
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

    def of_item(self, number: int, probe: Probe) -> list[Pixels]:
        """The canvases of an item, with its target in each slot."""
        return [probe.compose(probe.items[number], slot) for slot in range(probe.cells)]

    def ask(self, picture: Image.Image, cell: int, question: str, crowded: bool) -> list[Shown]:
        """What each scheme makes of ``question`` about the canvas with ``picture`` at ``cell``."""
        return self.look([self.canvas(picture, place, crowded) for place in range(self.slots.count)], cell, question)

    def look(self, canvases: list[Pixels], cell: int, question: str) -> list[Shown]:
        """What each scheme makes of ``question`` about the canvas of one slot, and how the margin differs between all.
        Margins are remembered, so that moving the picture costs one answer.
        """
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
                narrow = next(self.model.parameters()).dtype not in (torch.float32, torch.float64)
                other = "; another dtype may: --dtype float32" if narrow else ""
                raise ModelError(f"{self.name} gives no answer: {answer.error}{other}")
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
        wanted = self.slots.count if self.slots.apart else 1
        if len(images) != wanted or any(image.grid is None or image.grid != images[0].grid for image in images):
            return None
        last = of_last_token(self.model, inputs)[0].cpu().numpy()
        return np.concatenate(
            [last[image.columns.numpy()].reshape(image.grid.rows, image.grid.cols) for image in images if image.grid], 1
        )


def _targets(probe: Probe) -> list[Tile]:
    """The targets of the first items, on grey where they are transparent."""
    found = []
    for item in probe.items[:TILES]:
        tile = probe.tile(item.target)
        height, width = tile.shape[:2]
        shown = compose(ground(height, width, digits.GROUND), [tile], 1, width, height)
        found.append(Tile(shown, item.caption, f"item {item.item}"))
    return found


def _check_asks(probe: Probe) -> None:
    probe.needs_questions("the explorer shows how sure a model is of yes and no")
    if not probe.design.matches:
        raise ConfigError(
            f"the probe in {probe.path} asks for {probe.design.task}, and the explorer shows how sure a model is of "
            "yes and no; build it without --task"
        )
