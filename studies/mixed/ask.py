"""Models that learned places are tuned on names and places at once, natively and under the rule, and asked: PLAN.md.

Names are of things of all cells alike, or placed as in photographs (PLAN-2.md; under rules in part: PLAN-4.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studies.aligned.ask import Reader
from studies.coded import ask as coded
from studies.coded.ask import FORMS, LABELS, NATIVELY, UNDER, Tables, every
from studies.coded.codes import codes
from studies.shuffled.ask import further
from studies.taught.lessons import NAMES, Subject

LEARNED = (*FORMS, *NAMES)  # half of the questions ask for a place, half for a name
NATIVELY_CENTRAL, UNDER_CENTRAL = f"{NATIVELY}, central", f"{UNDER}, central"
SWITCHED_CENTRAL = f"{NATIVELY_CENTRAL}, asked under bapa"


@dataclass(frozen=True, kw_only=True)
class Arm(coded.Arm):
    """How models are tuned: with names of things of all cells alike, or of ``central`` ones."""

    central: bool = False


ARMS: Mapping[str, Arm] = {
    NATIVELY: Arm(scheme="native", rules=("native", "bapa")),
    UNDER: Arm(scheme="bapa", rules=("bapa",)),
    NATIVELY_CENTRAL: Arm(scheme="native", rules=("native", "bapa", "cross"), central=True),
    UNDER_CENTRAL: Arm(scheme="bapa", rules=("bapa",), central=True),
}
_SEEDS = 200  # keeps these pictures apart from those learned from before


def ask(parts: Path, work: Path, seeds: Sequence[int]) -> Tables:
    """Tune and ask what ``work`` lacks; each answer is kept as it ends. ``work`` lies beside the folders ``aligned``
    and ``coded``.

    Columns ``seed``, ``arm``, ``rule``, ``wording``, ``picture``, ``cell``, ``share``; ``seed``, ``arm``, ``rule``,
    ``what``, ``picture``, ``right``; the third table is empty.
    """
    return every(parts, work, seeds, ARMS, LABELS, pupil)


def pupil(untaught: Reader, work: Path, seed: int, name: str) -> Reader:
    """The model of the arm of this ``name``, tuned where it is missing."""
    arm = ARMS[name]
    subject = Subject(LEARNED, arm.scheme, codes(untaught.named), central=arm.central)
    return further(untaught, work / f"{name}-{seed}", seed, subject, _SEEDS + seed)
