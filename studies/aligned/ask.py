"""The models read pictures in the hand that their projectors never saw: PLAN.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bapa.attach import balanced
from bapa.checkpoints import load
from bapa.inference.progress import progress
from bapa.schemes import parse
from studies.aligned.projector import Named, folder, part, pictures
from studies.pretrained import scenes
from studies.pretrained.learner import Bench
from studies.where.rules import CHANNELS
from studies.words.ask import CELLS, asked, frames_of, keep

SEEDS, PICTURES, MOVED = (1, 2, 3), 243, "moved"
_RULES = (
    "native",
    "bapa",
    "bapa:distance=native",
    "reverse",
    "reverse:image_attention=ranked",
    CHANNELS,
    "native:image_attention=bidirectional",
    "bapa:image_attention=bidirectional",
)
RULES = tuple(parse(rule).label for rule in _RULES)
_SIDE, _AT_ONCE = 9, 27


def shifted() -> Tensor:
    """Nine orders of the cells, shifted round both ways, (9, 9): the cell whose content comes into each cell."""
    cells = torch.arange(CELLS).view(3, 3)
    return torch.stack([cells.roll((down, right), (0, 1)).flatten() for down in range(3) for right in range(3)])


def moves() -> Tensor:
    """Of each picture the cell that the encoder sees in the place of each cell of the language model, (pictures, 9)."""
    return shifted()[torch.arange(PICTURES) % CELLS]


def seen(model: Any, bench: Bench, drawn: scenes.Scenes, moved: bool) -> Tensor:
    """What the language model gets, (pictures, 81, width). ``moved``: each picture is encoded with its cells shifted
    and its features put back.
    """
    tokens = torch.arange(_SIDE**2).view(3, 3, 3, 3).permute(0, 2, 1, 3).reshape(CELLS, CELLS)  # of each cell
    found = []
    with torch.no_grad(), progress("pictures seen by the encoder", len(drawn.thing)) as step:
        for start in range(0, len(drawn.thing), _AT_ONCE):
            some = part(drawn, slice(start, start + _AT_ONCE))
            place = moves()[start : start + len(some.thing)]  # where each cell's thing is painted
            if moved:
                painted = torch.empty_like(some.thing).scatter_(1, place, some.thing)
                some = scenes.Scenes(painted, some.hand, some.main, some.shown)
            generator = torch.Generator().manual_seed(start)
            pixels = (scenes.paint(some, bench.atlas, generator, plain=True) - 127) / 128
            features = model.model.get_image_features(pixels).pooler_output
            if moved:
                back = torch.empty_like(features)
                for cell in range(CELLS):
                    back[:, tokens[cell]] = features[torch.arange(len(features))[:, None], tokens[place[:, cell]]]
                features = back
            found.append(features)
            for _ in features:
                step()
    return torch.cat(found)


def ask(parts: Path, work: Path, seeds: tuple[int, ...] = SEEDS, rules: tuple[str, ...] = RULES) -> pd.DataFrame:
    """Train the projectors and ask the rules that ``work`` lacks, each kept as it ends. The shares of all that are
    there: columns ``seed``, ``scheme``, ``wording``, ``picture``, ``cell``, ``share``.
    """
    work.mkdir(parents=True, exist_ok=True)
    frames: list[pd.DataFrame] = []
    for seed in seeds:
        bench = Bench(parts, "cpu")
        named = Named.of(bench)
        home = folder(bench, work, seed)
        loaded = load(str(home), device="cpu", dtype=torch.float32)
        drawn = pictures(bench, named, PICTURES, torch.Generator().manual_seed(seed + 1000), held_out=True)
        number = torch.zeros(int(named.thing.max()) + 1, dtype=torch.long)
        number[named.thing] = torch.arange(len(named.thing))
        shown = number[drawn.thing].numpy()
        images: dict[bool, Tensor] = {}
        for rule in (*rules, MOVED):
            kept = work / f"{seed}-{len(RULES) if rule == MOVED else RULES.index(rule)}.npy"
            if not kept.is_file():
                moved = rule == MOVED
                if moved not in images:
                    images[moved] = seen(loaded.model, bench, drawn, moved)
                with balanced(loaded.model, "native" if moved else rule):
                    keep(kept, asked(loaded.model, loaded.processor, images[moved], named.token, rule))
            frames += [frame.assign(seed=seed, scheme=rule) for frame in frames_of(np.load(kept), shown)]
    types = {"seed": "int8", "wording": "int8", "picture": "int16", "cell": "int8", "share": "float32"}
    return pd.concat(frames, ignore_index=True)[["seed", "scheme", *list(types)[1:]]].astype(types)
