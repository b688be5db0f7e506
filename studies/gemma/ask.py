"""The second language model reads the grids of the words study: PLAN.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from bapa.attach import balanced
from bapa.checkpoints import load
from bapa.probe.questions import bare
from bapa.schemes import parse
from studies.gemma.build import base
from studies.pretrained.parts import common_things
from studies.words import neighbours
from studies.words.ask import CARRIED, PICTURES, asked, embedded, frames_of, grids, keep

SIDE, NEAR_PICTURES = 9, 80
_CANDIDATES = (
    "bapa:blend=0.6,layers=4-17",
    "bapa:blend=0.7,layers=5-17",
    "bapa:pairs=cross",
    "bapa:blend=0.6,image_attention=bidirectional,layers=4-17",
)
_RULES = (
    *CARRIED,
    *_CANDIDATES,
)
RULES = tuple(parse(rule).label for rule in _RULES)
CANDIDATES = RULES[-len(_CANDIDATES) :]
NEAR = ("native", "bapa", *CANDIDATES)


def ask(parts: Path, work: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ask every rule that ``work`` lacks, each kept as it ends. The shares of all: columns ``scheme``, ``wording``,
    ``picture``, ``cell``, ``share``; and what is known of neighbours: ``scheme``, ``form``, ``picture``, ``relation``,
    ``auc``.
    """
    work.mkdir(parents=True, exist_ok=True)
    loaded = load(str(base(parts)), device="cpu", dtype=torch.float32)
    model, processor = loaded.model, loaded.processor
    names = [bare(thing.caption) for thing in common_things(parts)]
    shown = grids(processor.tokenizer, names, PICTURES[SIDE])
    image = embedded(model, shown, SIDE)
    maps: list[pd.DataFrame] = []
    for rule in RULES:
        kept = work / f"{rule}.npy"
        if not kept.is_file():
            with balanced(model, rule):
                keep(kept, asked(model, processor, image, shown.tokens, rule))
        maps += [frame.assign(scheme=rule) for frame in frames_of(np.load(kept), shown.shown.numpy())]
    things, known = shown.tokens[shown.shown[:NEAR_PICTURES]], list[pd.DataFrame]()
    for rule in NEAR:
        for form, words in enumerate(neighbours.FORMS):
            kept = work / f"near-{form}-{rule}.npy"
            if not kept.is_file():
                with balanced(model, rule):
                    found = neighbours.mentioned(model, processor, image[:NEAR_PICTURES], things, words, rule)
                keep(kept, found)
            known += [frame.assign(scheme=rule) for frame in neighbours.frames_of(np.load(kept), form)]
    types = {"wording": "int8", "picture": "int16", "cell": "int8", "share": "float32"}
    shares = pd.concat(maps, ignore_index=True)[["scheme", *types]].astype(types)
    types = {"form": "int8", "picture": "int16", "auc": "float32"}
    return shares, pd.concat(known, ignore_index=True)[["scheme", *neighbours.COLUMNS]].astype(types)
