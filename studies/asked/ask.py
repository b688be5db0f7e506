"""The models of every arm answer whether things are there, in full grids by a hand never learned from: PLAN.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bapa.attach import balanced
from bapa.calibrate.words.reader import CELLS
from bapa.checkpoints import load
from bapa.schemes import parse
from studies.aligned.ask import ALIGNED, Reader, seen
from studies.aligned.projector import part
from studies.pretrained import arms as pretrained
from studies.pretrained.scenes import PROMPT
from studies.taught.lessons import shuffled
from studies.words.ask import CANDIDATES, Array, kept
from studies.words.neighbours import told

PICTURES, STEPS, TRIED = 81, 60, 24
SHUFFLED = "shuffled"  # the arm whose image tokens come in another order
DRAWN = "as drawn"  # how image tokens come that are shuffled in teaching: in their own order
RULES: Mapping[str, str] = {  # what they are called and their labels, native first
    "native": "native",
    "bapa": "bapa",
    "own distance": parse("bapa:distance=native").label,
    "blend": CANDIDATES[0],
    "cross": CANDIDATES[2],
    "reverse": "reverse",
}


@dataclass(frozen=True)
class Arm:
    """``of``: the arm of `studies/pretrained` whose pictures and positions these are; ``rules``: asked."""

    of: str
    rules: tuple[str, ...]


ARMS: Mapping[str, Arm] = {
    "uniform": Arm("A", tuple(RULES)),
    SHUFFLED: Arm("D", ("native", DRAWN)),
    "photo": Arm("E", ("native", "bapa", "own distance", "reverse")),
    "under bapa": Arm("C", ("native", "bapa")),
}


def ask(parts: Path, work: Path, seeds: Sequence[int], wanted: Sequence[str] = tuple(ARMS)) -> pd.DataFrame:
    """Teach and ask what ``work`` lacks; each answer is kept as it ends. ``work`` lies beside the folder ``aligned``.

    Columns ``seed``, ``arm``, ``rule``, ``picture``, ``cell``, ``present``, ``absent``: the margins of yes over no
    about the thing in the cell, and about one that the picture does not show.
    """
    work.mkdir(parents=True, exist_ok=True)
    frames: list[pd.DataFrame] = []
    for seed in seeds:
        untaught = Reader.of(ALIGNED, parts, work.parent / "aligned", seed)
        shown = replace(untaught, drawn=part(untaught.drawn, slice(PICTURES)), shown=untaught.shown[:PICTURES])
        image = seen(shown.loaded.model, shown.bench, shown.drawn, moved=False)
        for name in wanted:
            frames += [its.assign(seed=seed, arm=name) for its in _arm(shown, work, seed, name, image)]
    columns = ["seed", "arm", "rule", "picture", "cell", "present", "absent"]
    return pd.concat(frames, ignore_index=True)[columns]


def _arm(untaught: Reader, work: Path, seed: int, name: str, image: Tensor) -> Iterator[pd.DataFrame]:
    reader = taught(untaught, work, seed, name)
    for rule in ARMS[name].rules:
        given = image
        if name == SHUFFLED and rule != DRAWN:
            given = shuffled(image, torch.Generator().manual_seed(len(image)))  # the same order for every rule
        margins = kept(work / f"{seed}-{name}-{rule}.npy", partial(answers, reader, given, rule))
        picture, cell = np.indices(margins.shape[:2]).reshape(2, -1)
        yield pd.DataFrame(
            {
                "rule": rule,
                "picture": picture,
                "cell": cell,
                "present": margins[..., 0].ravel(),
                "absent": margins[..., 1].ravel(),
            }
        )


def taught(untaught: Reader, work: Path, seed: int, name: str) -> Reader:
    """The model of the arm of this ``name``, taught where it is missing."""
    from studies.asked.learn import Learner, subject  # takes long to import
    from studies.taught.learn import Teaching, teach

    # No share is enough: every arm takes all steps.
    teaching = Teaching(steps=STEPS, tried=TRIED, enough=float("inf"))
    home = work / f"{name}-{seed}"
    teach(untaught, home, seed, subject(pretrained.ARMS[ARMS[name].of]), teaching, pupils=Learner)
    return replace(untaught, loaded=load(str(home), device="cpu", dtype=torch.float32))


def answers(reader: Reader, image: Tensor, rule: str) -> Array:
    """Margins of yes over no under a rule, (pictures, 9 cells, 2): about the thing in the cell, and about one that the
    picture does not show. ``image``: (pictures, 81, width).
    """
    things = torch.stack([reader.shown, absent(reader.shown, len(reader.named.thing))], -1)
    captions = reader.bench.asker.captions
    numbers = reader.named.thing[things].flatten(1).tolist()
    asked = [[(PROMPT.format(caption=captions[number]), "") for number in some] for some in numbers]
    words = [reader.bench.asker.yes, reader.bench.asker.no]
    label = RULES.get(rule, "native")
    with balanced(reader.loaded.model, label):
        logs = told(
            reader.loaded.model,
            reader.loaded.processor,
            image,
            asked,
            torch.tensor(words).expand(len(image), -1),
            f"pictures under {rule}",
        )
    found: Array = (logs[..., 0] - logs[..., 1]).reshape(len(image), CELLS, 2)
    return found


def absent(shown: Tensor, names: int) -> Tensor:
    """Nine other things for each picture, (pictures, 9), drawn from those of ``names`` that it does not show."""
    generator = torch.Generator().manual_seed(len(shown))
    order = torch.rand(len(shown), names, generator=generator).scatter_(1, shown, -1.0)
    return order.argsort(1, descending=True)[:, : shown.shape[1]]
