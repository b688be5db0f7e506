"""The shared position in one part of the pretrained language model at a time, on grids of words: PLAN-3.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from bapa.attach import balanced
from bapa.checkpoints import load
from bapa.probe.questions import bare
from bapa.schemes.shares import brief
from studies.pretrained import build
from studies.pretrained.parts import common_things
from studies.where.rules import one_at_a_time
from studies.words import knowing, neighbours, reading
from studies.words.ask import Array, asked, embedded, frames_of, grids, kept

GRIDS, SEED, SIDE = 40, 31, 9
LAYERS, PAIRS, HEADS = 30, 32, 3  # of SmolLM2-135M: decoder layers, rotary pairs, key-value heads
THETA = 100_000.0  # its rotary base
_PARTS = {"native": "native", **one_at_a_time(LAYERS, PAIRS, HEADS)}
# Heads of layers last: they are more than all the others.
PARTS: Mapping[str, str] = dict(sorted(_PARTS.items(), key=lambda part: "head" in part[0]))
RELATIONS = ("right", "row")  # of the neighbours, what is shown
Tables = tuple[pd.DataFrame, pd.DataFrame]  # shares of names, what is known of neighbours


def ask(parts: Path, work: Path, wanted: Mapping[str, str]) -> Tables:
    """Ask what ``work`` lacks of the ``wanted`` parts; each answer is kept as it ends.

    Columns ``scheme`` (the part), ``wording``, ``picture``, ``cell``, ``share``; and ``scheme``, ``form``, ``picture``,
    ``relation``, ``auc``.
    """
    loaded = load(str(build.base(parts)), device="cpu", dtype=torch.float32)
    shown = grids(loaded.processor.tokenizer, [bare(one.caption) for one in common_things(parts)], GRIDS, SEED)
    image, things = embedded(loaded.model, shown, SIDE), shown.tokens[shown.shown]
    maps, known = [], []
    for part, rule in wanted.items():
        names, near = (work / f"site-{what}-{part}.npy" for what in ("names", "near"))
        logs = kept(names, partial(_names, loaded, image, shown.tokens, rule))
        maps += [one.assign(scheme=part) for one in frames_of(logs, shown.shown.numpy())]
        logs = kept(near, partial(_near, loaded, image, things, rule))
        known += [one.assign(scheme=part) for one in neighbours.frames_of(logs, 0)]
    columns = ["scheme", "wording", "picture", "cell", "share"]
    return pd.concat(maps, ignore_index=True)[columns], pd.concat(known, ignore_index=True)[
        ["scheme", *neighbours.COLUMNS]
    ]


def _names(loaded: Any, image: Tensor, names: Tensor, rule: str) -> Array:
    with balanced(loaded.model, rule):
        return asked(loaded.model, loaded.processor, image, names, brief(rule))


def _near(loaded: Any, image: Tensor, things: Tensor, rule: str) -> Array:
    with balanced(loaded.model, rule):
        return neighbours.mentioned(loaded.model, loaded.processor, image, things, neighbours.FORMS[0], brief(rule))


def wavelength(part: str) -> float | None:
    """Of a rotary pair, in lengths of the image; None for other parts."""
    if not part.startswith("rotary pair "):
        return None
    return 2 * math.pi * THETA ** (int(part.split()[-1]) / PAIRS) / SIDE**2


def record(shares: pd.DataFrame, known: pd.DataFrame) -> dict[str, Any]:
    """By part the map, its change from native, and what is kept of neighbours."""
    there = [part for part in PARTS if part in set(shares["scheme"])]
    maps = {part: reading.averaged(shares[shares["scheme"] == part]) for part in there}
    told = reading.figures(maps)["rules"]
    (near,) = knowing.figures(known, there).values()
    return {part: {**told[part], **{name: near[part][name] for name in RELATIONS}} for part in there}
