"""Models with codes in their image tokens are taught further, so that the codes are read, and asked: PLAN.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd
import torch

from bapa.checkpoints import load
from bapa.files import read_json
from bapa.schemes import parse
from studies.aligned.ask import ALIGNED, Reader
from studies.coded import ask as coded
from studies.coded.ask import FORMS, NATIVELY, Tables, asked
from studies.coded.codes import codes
from studies.taught.lessons import Subject

STEPS = 80
_SEEDS = 100  # keeps these pictures apart from those learned from before


@dataclass(frozen=True)
class Arm:
    """How models are taught further: with the positions of a ``scheme``, their image tokens ``shuffled`` or not.
    ``rules``: asked afterwards; ``moved``: asked too with the codes of another place.
    """

    scheme: Literal["native", "bapa"]
    shuffled: bool
    rules: Sequence[str]
    moved: Sequence[str] = ()


LABELS: Mapping[str, str] = {  # by what rules are called, native first
    **{name: coded.LABELS[name] for name in ("native", "bapa", "cross")},
    "own distance": parse("bapa:distance=native").label,
    "blend": coded.LABELS["blend"],
}
SHUFFLED, UNDER, FURTHER = "shuffled", "under bapa", "natively"
ARMS: Mapping[str, Arm] = {
    SHUFFLED: Arm("native", True, tuple(LABELS), ("native", "bapa")),
    UNDER: Arm("bapa", False, ("bapa",), ("bapa",)),
    FURTHER: Arm("native", False, ("native", "bapa")),
}


def ask(parts: Path, work: Path, seeds: Sequence[int]) -> Tables:
    """Teach and ask what ``work`` lacks; each answer is kept as it ends. ``work`` lies beside the folders ``aligned``
    and ``coded``.

    Columns ``seed``, ``arm``, ``rule``, ``wording``, ``picture``, ``cell``, ``share``; ``seed``, ``arm``, ``rule``,
    ``what``, ``picture``, ``right``; and the same with ``of``: right of the place where the thing stands or of that
    which its tokens' codes tell.
    """
    work.mkdir(parents=True, exist_ok=True)
    each = []
    for seed in seeds:
        untaught = Reader.of(ALIGNED, parts, work.parent / "aligned", seed)
        image = cache(untaught.image)  # the encoder and the projector stay as they are
        for name, arm in ARMS.items():
            reader = pupil(untaught, work, seed, name)
            for rule in arm.rules:
                path, about = work / f"{name}-{seed}-{rule}", {"seed": seed, "arm": name, "rule": rule}
                each.append(asked(reader, image, path, LABELS[rule], rule in arm.moved, about))
    names, where, whose = (pd.concat(one, ignore_index=True) for one in zip(*each, strict=True))
    return names, where, whose


def learned(work: Path) -> dict[str, list[dict[str, float]]]:
    """By arm and seed how much of what was tried while it was taught was right."""
    curves = {path.stem: read_json(path)["tried"] for path in sorted(work.glob("*.json"))}
    return {name: tried for name, tried in curves.items() if name.rpartition("-")[0] in ARMS}


def pupil(untaught: Reader, work: Path, seed: int, name: str) -> Reader:
    """The model of the arm of this ``name``, taught where it is missing."""
    from studies.taught.learn import Teaching, teach  # takes long to import

    before = work.parent / "coded" / f"{NATIVELY}-{seed}"
    before.parent.mkdir(parents=True, exist_ok=True)
    coded.pupil(untaught, before.parent, seed, NATIVELY)
    arm, added = ARMS[name], codes(untaught.named)
    # No share is enough: every arm takes all steps.
    teaching = Teaching(steps=STEPS, enough=float("inf"))
    subject = Subject(FORMS, arm.scheme, added, arm.shuffled)
    home = teach(untaught, work / f"{name}-{seed}", _SEEDS + seed, subject, teaching, before)
    return replace(untaught, loaded=load(str(home), device="cpu", dtype=torch.float32))
