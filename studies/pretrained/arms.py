"""The arms of the study and how long they are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from studies.pretrained.scenes import Placement


@dataclass(frozen=True)
class Arm:
    """``scheme``: the position rule trained under; ``language``: where the language model starts; ``shuffled``: image
    tokens come in an order drawn anew for every picture; ``placement``: where things stand and are asked about;
    ``start``: the arm whose judged model of the same seed is tuned further, none where training begins from the parts.
    """

    scheme: Literal["native", "bapa"] = "native"
    language: Literal["pretrained", "random"] = "pretrained"
    shuffled: bool = False
    placement: Placement = "uniform"
    start: str | None = None


ARMS = {
    "A": Arm(),
    "B": Arm(language="random"),
    "C": Arm(scheme="bapa"),
    "D": Arm(shuffled=True),
    "E": Arm(placement="photo"),
    "F": Arm(start="A"),
    "G": Arm(scheme="bapa", start="A"),
}
SEEDS = (1, 2, 3, 4, 5)
WANTED = ("A", "C", "D", "E", "F", "G")  # B did not learn in the first training, and is trained on demand only

PARTS = ("test", "guards", "origin", "search")  # of judging a model


@dataclass(frozen=True)
class Recipe:
    """``steps``: at most so many, of ``batch`` pictures; ``few``: how many of them show one to four things, the others
    two to eight (nine are the layout held out); ``places``: weight of the questions about
    places; ``first``: number of the first step's pictures; ``every``: steps from
    one checkpoint to the next; ``enough``: the mean AUC on held-out drawings at which training stops.
    """

    steps: int = 1200
    batch: int = 8
    questions: int = 6
    places: float = 0.3
    few: int = 150
    first: int = 0
    warm_up: int = 40
    projector_rate: float = 2e-3
    rate: float = 1e-3
    whole_rate: float = 5e-4
    every: int = 50
    enough: float = 0.85


TUNING = Recipe(
    steps=200, few=0, first=100_000, warm_up=20, projector_rate=5e-4, rate=5e-4, enough=2.0
)  # never enough: all 200

SHORT = 600  # steps of a model that is to be had in an hour or so without a GPU

FEW, MANY, FULL = (1, 4), (2, 8), (9, 9)
