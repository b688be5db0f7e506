"""The interventions: what is changed, one factor at a time, on the same items.

On a plain canvas three things coincide: the cell in which the *encoder* saw the target, the slot its tokens have in the
*order* of the sequence (what the causal mask goes by), and the rotary *position* they get. A move exchanges the tokens
of the target's cell with those of another cell in one respect or two, which tears the three apart:

========= ============ ============= ===========
move      encoder saw  slot in order position of
========= ============ ============= ===========
features  own cell     other cell    other cell
positions own cell     own cell      other cell
order     own cell     other cell    own cell
patch     other cell   own cell      own cell
========= ============ ============= ===========

*Patch* is activation patching: the target's features as the encoder made them on the canvas with the target in the
other cell, put into this canvas; unlike *features* it keeps the surroundings' features of this canvas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapa.attach import balanced
from bapa.families.anatomy import find
from bapa.inference.block import Outcome, Prepared
from bapa.inference.forward import Forward
from bapa.inference.hf import ModelAsker
from bapa.inference.plan import Canvas, Plan
from bapa.origin.rewire import rewired
from bapa.probe import Probe

Kind = Literal["none", "features", "positions", "order", "patch"]
MOVES: tuple[Kind, ...] = ("features", "positions", "order", "patch")
RULES = (
    "native",
    "bapa:distance=native",
    "bapa",
    "reverse",
    "shuffle",
    "stride:delta=0.5",
    "stride:delta=0.1",
    "native:image_attention=bidirectional",
)


@dataclass(frozen=True)
class Condition:
    """One way to ask about every canvas: under a position rule (``scheme``), or with a move.

    ``draw``: each item makes the same move several times, to other cells.
    """

    scheme: str = "native"
    move: Kind = "none"
    draw: int = 0

    @property
    def label(self) -> str:
        """How the condition is called in the answers."""
        return self.scheme if self.move == "none" else f"{self.move}/{self.draw}"


def conditions(rules: Sequence[str], draws: int) -> list[Condition]:
    """All of them: the rules, then each move ``draws`` times."""
    return [Condition(rule) for rule in rules] + [Condition(move=move, draw=d) for move in MOVES for d in range(draws)]


def shift(item: NDArray[np.int64] | int, draw: int, draws: int, cells: int) -> NDArray[np.int64]:
    """How many cells further on the other cell is; over items and draws each shift comes equally often."""
    return 1 + (np.asarray(item) * draws + draw) % (cells - 1)


def torn(move: Kind, items: NDArray[np.int64], draw: int, draws: int, cells: int) -> dict[str, NDArray[np.int64]]:
    """The cells that a move brings together: ``encoder``, ``order``, ``position``, each (items, cells), for the canvas
    of each item with the target in each cell.
    """
    own = np.broadcast_to(np.arange(cells), (len(items), cells))
    if move == "none":
        return {"encoder": own, "order": own, "position": own}
    other = (own + shift(items, draw, draws, cells)[:, None]) % cells
    return {
        "encoder": other if move == "patch" else own,
        "order": other if move in ("features", "order") else own,
        "position": other if move in ("features", "positions") else own,
    }


class Mover(ModelAsker):
    """Asks blocks of canvases under every condition. ``blocks``: as of :class:`~bapa.origin.geometry.Cells`."""

    def __init__(
        self, forward: Forward, probe: Probe, plan: Plan, wanted: Sequence[Condition], draws: int, blocks: Tensor | None
    ) -> None:
        super().__init__(forward, probe, plan, [condition.label for condition in wanted], generate=0, audit=0)
        self.rules = list(dict.fromkeys(condition.scheme for condition in wanted))
        self.wanted = wanted
        self.draws = draws
        self.blocks = blocks
        self.together = plan.cells  # features go from one canvas of an item to another

    def answer_block(self, canvases: Sequence[Canvas], prepared: Prepared, labels: Sequence[str]) -> list[Outcome]:
        seen = self.forward.see(prepared.asked)
        tokens = int(torch.isin(prepared.asked.inputs["input_ids"][0], find(self.forward.model).tokens).sum())
        outcomes: list[Outcome] = [{} for _ in canvases]
        for condition in self.wanted:
            features, positions = self.sources(condition, canvases, tokens)
            usual = self._usual(condition.scheme, prepared.questions)
            model = self.forward.model
            with balanced(model, condition.scheme), rewired(model, features, positions):
                answers = iter(self._read(seen, prepared.questions, usual))
            for outcome, questions in zip(outcomes, prepared.questions, strict=True):
                outcome[condition.label] = list(islice(answers, len(questions)))
        return outcomes

    def sources(
        self, condition: Condition, canvases: Sequence[Canvas], tokens: int
    ) -> tuple[Tensor | None, Tensor | None]:
        """The sources of features and of positions that :func:`~bapa.origin.rewire.rewired` takes."""
        move = condition.move
        if move == "none" or self.blocks is None:
            return None, None
        own = torch.arange(tokens).repeat(len(canvases), 1)
        moved = own.clone()
        first = torch.arange(len(canvases))[:, None] * tokens
        row_of = {(canvas.index, canvas.cell): row for row, canvas in enumerate(canvases)}
        donated = own + first
        for row, canvas in enumerate(canvases):
            item = self.probe.items[canvas.index].item
            other = int(canvas.cell + shift(item, condition.draw, self.draws, self.plan.cells)) % self.plan.cells
            here, there = self.blocks[canvas.cell], self.blocks[other]
            moved[row, here], moved[row, there] = there, here
            donated[row, here] = row_of[canvas.index, other] * tokens + there
        if move == "patch":
            return donated, None
        return (
            moved + first if move in ("features", "order") else None,
            moved if move in ("positions", "order") else None,
        )
