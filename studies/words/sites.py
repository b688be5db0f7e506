"""The shared position in one part of the pretrained language model at a time, on grids of words: PLAN-3.md; and a rule
read off that map, on other grids: PLAN-4.md.
"""

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
from bapa.schemes import parse
from bapa.schemes.shares import brief
from studies.pretrained import build
from studies.pretrained.parts import common_things
from studies.where.rules import SHARED, one_at_a_time
from studies.words import knowing, neighbours, reading
from studies.words.ask import CANDIDATES, Array, asked, embedded, frames_of, grids, kept

SIDE = 9
ONE_BY_ONE, FRESH = (40, 31), (80, 32)  # grids and their seed: of single parts, of the rule read off the map
LAYERS, PAIRS, HEADS = 30, 32, 3  # of SmolLM2-135M: decoder layers, rotary pairs, key-value heads
THETA = 100_000.0  # its rotary base
_GROUPS = {  # a key-value head in all layers: added when the others had been seen
    f"key-value head {one}": f"{SHARED},shares="
    + "+".join(f"{layer}:{'0' * one}f{'0' * (HEADS - one - 1)}" for layer in range(LAYERS))
    for one in range(HEADS)
}
_PARTS = {
    "native": "native",
    **{part: parse(rule).label for part, rule in _GROUPS.items()},
    **one_at_a_time(LAYERS, PAIRS, HEADS),
}
# Heads of layers last: they are more than all the others.
PARTS: Mapping[str, str] = dict(sorted(_PARTS.items(), key=lambda part: ", head" in part[0]))
PICKED: Mapping[str, str] = {
    name: parse(rule).label
    for name, rule in {
        "native": "native",
        "all layers": SHARED,
        "layers 14-20": f"{SHARED},layers=14-20",
        "blend": CANDIDATES[0],
    }.items()
}
RELATIONS = ("right", "row")  # of the neighbours, what is shown
Tables = tuple[pd.DataFrame, pd.DataFrame]  # shares of names, what is known of neighbours


def ask(parts: Path, work: Path, wanted: Mapping[str, str], pictures: tuple[int, int] = ONE_BY_ONE) -> Tables:
    """Ask what ``work`` lacks of the ``wanted`` parts; each answer is kept as it ends. ``pictures``: how many, and
    their seed.

    Columns ``scheme`` (the part), ``wording``, ``picture``, ``cell``, ``share``; and ``scheme``, ``form``, ``picture``,
    ``relation``, ``auc``.
    """
    loaded = load(str(build.base(parts)), device="cpu", dtype=torch.float32)
    shown = grids(loaded.processor.tokenizer, [bare(one.caption) for one in common_things(parts)], *pictures)
    image, things = embedded(loaded.model, shown, SIDE), shown.tokens[shown.shown]
    maps, known = [], []
    for part, rule in wanted.items():
        names, near = (work / f"site-{pictures[1]}-{what}-{part}.npy" for what in ("names", "near"))
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
    asked_about = set(shares["scheme"])
    there = [part for part in dict.fromkeys((*PARTS, *PICKED)) if part in asked_about]
    maps = {part: reading.averaged(shares[shares["scheme"] == part]) for part in there}
    told = reading.figures(maps)["rules"]
    (near,) = knowing.figures(known, there).values()
    return {part: {**told[part], **{name: near[part][name] for name in RELATIONS}} for part in there}
