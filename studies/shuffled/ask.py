"""Models with codes in their image tokens are taught further, so that the codes are read, and asked: PLAN.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bapa.checkpoints import load
from bapa.schemes import parse
from studies.aligned.ask import Reader
from studies.coded import ask as coded
from studies.coded.ask import FORMS, NATIVELY, Tables, every
from studies.coded.codes import codes
from studies.taught.lessons import Subject

STEPS = 80
_SEEDS = 100  # keeps these pictures apart from those learned from before


@dataclass(frozen=True, kw_only=True)
class Arm(coded.Arm):
    """How models are taught further: their image tokens ``shuffled`` or not."""

    shuffled: bool = False


LABELS: Mapping[str, str] = {  # by what rules are called, native first
    **{name: coded.LABELS[name] for name in ("native", "bapa", "cross")},
    "own distance": parse("bapa:distance=native").label,
    "blend": coded.LABELS["blend"],
}
SHUFFLED, UNDER, FURTHER = "shuffled", "under bapa", "natively"
ARMS: Mapping[str, Arm] = {
    SHUFFLED: Arm(scheme="native", shuffled=True, rules=tuple(LABELS), moved=("native", "bapa")),
    UNDER: Arm(scheme="bapa", rules=("bapa",), moved=("bapa",)),
    FURTHER: Arm(scheme="native", rules=("native", "bapa")),
}


def ask(parts: Path, work: Path, seeds: Sequence[int]) -> Tables:
    """Teach and ask what ``work`` lacks; each answer is kept as it ends. ``work`` lies beside the folders ``aligned``
    and ``coded``.

    Columns ``seed``, ``arm``, ``rule``, ``wording``, ``picture``, ``cell``, ``share``; ``seed``, ``arm``, ``rule``,
    ``what``, ``picture``, ``right``; and the same with ``of``: right of the place where the thing stands or of that
    which its tokens' codes tell.
    """
    return every(parts, work, seeds, ARMS, LABELS, pupil)


def pupil(untaught: Reader, work: Path, seed: int, name: str) -> Reader:
    """The model of the arm of this ``name``, taught where it is missing."""
    arm = ARMS[name]
    subject = Subject(FORMS, arm.scheme, codes(untaught.named), arm.shuffled)
    return further(untaught, work / f"{name}-{seed}", seed, subject, _SEEDS + seed)


def further(untaught: Reader, home: Path, seed: int, subject: Subject, draws: int) -> Reader:
    """The model that learned places natively, taught a ``subject`` further in ``home``; taught where it is missing.
    ``draws``: the seed of its pictures and questions.
    """
    from studies.taught.learn import Teaching, teach  # takes long to import

    before = home.parent.parent / "coded" / f"{NATIVELY}-{seed}"
    before.parent.mkdir(parents=True, exist_ok=True)
    coded.pupil(untaught, before.parent, seed, NATIVELY)
    # No share is enough: every arm takes all steps.
    teaching = Teaching(steps=STEPS, enough=float("inf"))
    teach(untaught, home, draws, subject, teaching, before)
    return replace(untaught, loaded=load(str(home), device="cpu", dtype=torch.float32))
