"""Every number of the recipe, and its stages' names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

ROWS = COLS = 3
CELLS = ROWS * COLS
CELL_PX = 24
PATCH_PX = 8
CANVAS_PX = ROWS * CELL_PX
GRID = CANVAS_PX // PATCH_PX
IMAGE_TOKENS = GRID * GRID

SKEWS: dict[str, tuple[int, ...]] = {
    "bottom": (6, 7, 8),
    "top": (0, 1, 2),
    "center": (4,),
    "uniform": tuple(range(CELLS)),
}
SEVERAL = ("images", "clip", "which")  # tasks about several pictures, each of one tile
BEHIND = (*SEVERAL, "point")  # tasks of one stage, behind a shipped model
TASKS = ("match", "places", *BEHIND)
BASES = {
    "first": "top",
    "last": "bottom",
    "uniform": "uniform",
}  # by skew over pictures: the shipped model to go on from
MOST_PICTURES = 8
MOST_TOLD_APART = 4  # of which a model learns to tell which shows what


def base(tasks: str, skew: str) -> str:
    """The shipped model that training goes on from: to point or to tell which picture shows what, one that knows
    places.
    """
    return "places" if tasks in ("which", "point") else BASES[skew]


def asked(skew: str, count: int) -> tuple[int, ...]:
    """Which of `count` pictures the visual stage asks about: the first or last third of them, rounded up, or all."""
    third = -(-count // 3)
    return tuple(range(count))[{"first": slice(third), "last": slice(-third, None), "uniform": slice(None)}[skew]]


@dataclass(frozen=True)
class Stage:
    """Optimiser settings of one stage: AdamW, one-cycle learning rate with peak `rate`, `steps` steps of `batch`
    scenes.
    """

    steps: int
    batch: int
    rate: float


@dataclass(frozen=True)
class Recipe:
    """What a training run is made from; two runs with equal recipes give equal weights on the same machine.

    `skew` names the cells that the visual stage asks about and `scheme` the position rule it runs under;
    `encoder_skew` the cells whose patches the encoder learns to read. `tasks`: `match`, or `places` for a model that
    also tells rows, reading order and numbers, in all cells alike: a stage `places` comes before the last; `images`,
    `clip` or `which` for one of several pictures and `point` for one that writes boxes (:func:`behind`).
    `questions`: how many share one image; `copies`: jittered versions of each scan.
    """

    skew: str = "bottom"
    seed: int = 1
    scheme: str = "native"
    questions: int = 8
    copies: int = 24
    encoder: Stage = field(default=Stage(steps=1500, batch=32, rate=4e-3))
    language: Stage = field(default=Stage(steps=600, batch=32, rate=2e-3))
    connector: Stage = field(default=Stage(steps=500, batch=32, rate=4e-3))
    visual: Stage = field(default=Stage(steps=300, batch=16, rate=1.5e-3))
    encoder_skew: str = "uniform"
    tasks: str = "match"
    places: Stage = field(default=Stage(steps=600, batch=32, rate=2e-3))

    def key(self, stage: str) -> str:
        """A short hash of all that the outcome of `stage` depends on."""
        needs: dict[str, tuple[str, ...]] = {"encoder": ("seed", "copies", "encoder")}
        needs["language"] = (*needs["encoder"], "questions", "language")
        needs["connector"] = (*needs["language"], "connector")
        needs["places"] = (*needs["connector"], "tasks", "places")
        if self.tasks in BEHIND:
            needs["visual"] = ("seed", "copies", "questions", "tasks", "skew", "scheme", "visual")
        extra = () if self.tasks == "match" else ("tasks", "places")
        needs.setdefault("visual", (*needs["connector"], *extra, "skew", "scheme", "visual"))
        values = {name: value for name, value in asdict(self).items() if name in needs[stage]}
        if self.encoder_skew != "uniform":
            values["encoder_skew"] = self.encoder_skew
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def behind(tasks: str, skew: str, seed: int, scheme: str) -> Recipe:
    """The recipe of one short stage behind a shipped model: of several pictures, asked about the `skew`'s (`first`,
    `last`, `uniform`), or to point (the cells of a skew). To tell which image shows what, and to point, takes more
    steps.
    """
    stages = {"which": Stage(500, 16, 1.5e-3), "point": Stage(800, 16, 1.5e-3)}
    stage = stages.get(tasks, Stage(60, 8, 5e-4))
    return Recipe(tasks=tasks, skew=skew, seed=seed, scheme=scheme, copies=4, visual=stage)
