"""Models tuned natively and under a rule, and what they answer afterwards: PLAN.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from bapa.checkpoints import load
from bapa.tune import Settings, read
from studies.aligned.ask import ALIGNED, Reader
from studies.finetuned import data
from studies.words import neighbours
from studies.words.ask import Array, frames_of, keep

TUNING = Settings(rate=1e-3, batch=8, steps=40, save_every=10)
ROWS = TUNING.batch * (TUNING.steps or 0)
PLACEMENTS: tuple[data.Placement, ...] = ("uniform", "photo")
# What the models are called that were tuned under a rule, and the rules that they are asked under; of neighbours, the
# rule that they were tuned under alone.
NATIVELY, BALANCED = "tuned natively", "tuned under bapa"
ASKED: Mapping[str, Sequence[str]] = {"native": ("native", "bapa"), "bapa": ("bapa", "native")}
Tables = tuple[pd.DataFrame, pd.DataFrame]  # shares of names, what is known of neighbours


@dataclass(frozen=True)
class Condition:
    """A model ``tuned`` under one rule and ``asked`` under one."""

    tuned: str
    asked: str

    @property
    def name(self) -> str:
        """What it is called in the record and on the page."""
        tuned = NATIVELY if self.tuned == "native" else BALANCED
        if self.tuned == self.asked:
            return tuned
        return f"{tuned}, asked {'natively' if self.asked == 'native' else f'under {self.asked}'}"


CONDITIONS = tuple(Condition(tuned, asked) for tuned, rules in ASKED.items() for asked in rules)
SWITCHED = Condition("native", "bapa").name
NAMES = tuple(condition.name for condition in CONDITIONS)


def ask(parts: Path, work: Path, placements: Sequence[data.Placement], seeds: Sequence[int]) -> Tables:
    """Tune and ask what ``work`` lacks; each answer is kept as it ends. ``work`` lies beside the folder ``aligned``.

    Columns ``data``, ``seed``, ``condition``, ``wording``, ``picture``, ``cell``, ``share``; and ``data``, ``seed``,
    ``condition``, ``form``, ``picture``, ``relation``, ``auc``.
    """
    work.mkdir(parents=True, exist_ok=True)
    maps: list[pd.DataFrame] = []
    known: list[pd.DataFrame] = []
    for seed in seeds:
        untuned = Reader.of(ALIGNED, parts, work.parent / "aligned", seed)
        image = cache(untuned.image)  # the encoder and the projector stay as they are
        for placement in placements:
            for tuned in ASKED:
                home = _tuned(untuned, work, placement, tuned, seed)
                reader = replace(untuned, loaded=load(str(home), device="cpu", dtype=torch.float32))
                for one in (one for one in CONDITIONS if one.tuned == tuned):
                    told = {"data": placement, "seed": seed, "condition": one.name}
                    path = home.with_name(f"{home.name}-asked-{one.asked}")
                    if not (kept := path.with_name(f"{path.name}.npy")).is_file():
                        keep(kept, reader.names(image(), one.asked))
                    maps += [frame.assign(**told) for frame in frames_of(np.load(kept), reader.shown.numpy())]
                    if one.asked == tuned:
                        if not (kept := path.with_name(f"{path.name}-near.npy")).is_file():
                            keep(kept, reader.near(image(), one.asked, 0))
                        near: Array = np.load(kept)
                        known += [frame.assign(**told) for frame in neighbours.frames_of(near, 0)]
    return pd.concat(maps, ignore_index=True), pd.concat(known, ignore_index=True)


def _tuned(reader: Reader, work: Path, placement: data.Placement, rule: str, seed: int) -> Path:
    """The folder of the adapter tuned under ``rule``, made where it is missing. What ``bapa tune`` does."""
    from bapa.tune import tune  # takes long to import

    home = work / f"{placement}-{rule}-{seed}"
    shown = data.write(work / f"data-{placement}-{seed}", reader.bench, placement=placement, rows=ROWS, seed=seed)
    if not (home / "tune.json").is_file():
        model = load(reader.loaded.name, device="cpu", dtype=torch.float32)
        tune(model, read(shown), home, scheme=rule, settings=replace(TUNING, seed=seed))
    return home
