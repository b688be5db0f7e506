"""The shared position in one part of the taught models at a time: PLAN-3.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bapa.attach import balanced
from bapa.calibrate.words.reader import CELLS
from bapa.schemes import parse
from studies.aligned.ask import ALIGNED, Reader
from studies.aligned.reading import together
from studies.fitted import places
from studies.taught.ask import taught
from studies.where.rules import BANDS, SHARED
from studies.words import reading
from studies.words.ask import Array, frames_of, kept

PICTURES, ASKED = 81, 24  # for names, for rows
LAYERS = ("0-9", "10-19", "20-29")
PAIRS = ("text-to-image", "cross", "all")
_PARTS = {
    **{f"layers {some}": f"{SHARED},layers={some}" for some in LAYERS},
    **{f"band {band}": f"{SHARED},channels={band}" for band in BANDS},
    **{f"pairs: {kind}": f"{SHARED},pairs={kind}" for kind in PAIRS},
}
PARTS: Mapping[str, str] = {"native": "native", **{part: parse(rule).label for part, rule in _PARTS.items()}}
CHANCE = {"row": places.CHANCE["row"]}
Tables = tuple[pd.DataFrame, pd.DataFrame]  # shares of names, right answers about rows


def ask(parts: Path, work: Path, seeds: Sequence[int]) -> Tables:
    """Ask what ``work`` lacks; each answer is kept as it ends. ``work`` lies beside the folder ``aligned``.

    Columns ``seed``, ``part``, ``wording``, ``picture``, ``cell``, ``share``; and ``seed``, ``part``, ``picture``,
    ``right``.
    """
    maps: list[pd.DataFrame] = []
    rows: list[pd.DataFrame] = []
    for seed in seeds:
        untaught = Reader.of(ALIGNED, parts, work.parent / "aligned", seed)
        image = cache(untaught.image)
        reader = taught(untaught, work / f"taught-{seed}", seed)
        for number, (part, rule) in enumerate(PARTS.items()):
            home = work / f"sites-{seed}-{number}"
            logs = kept(home.with_suffix(".names.npy"), partial(_names, reader, image, rule))
            maps += [one.assign(seed=seed, part=part) for one in frames_of(logs, reader.shown[:PICTURES].numpy())]
            right = told(kept(home.with_suffix(".rows.npy"), partial(_rows, reader, image, rule)))
            rows.append(pd.DataFrame({"picture": np.arange(len(right)), "right": right, "seed": seed, "part": part}))
    columns = ["seed", "part", "wording", "picture", "cell", "share"]
    return pd.concat(maps, ignore_index=True)[columns], pd.concat(rows, ignore_index=True)


def _names(reader: Reader, image: Any, rule: str) -> Array:
    return reader.names(image()[:PICTURES], rule)


def _rows(reader: Reader, image: Any, rule: str) -> Array:
    things = reader.named.token[reader.shown[:ASKED]]
    with balanced(reader.loaded.model, rule):
        return places.answers(reader.loaded, image()[:ASKED], things, "row", rule)


def told(logs: Array) -> Array:
    """The share of right rows of every picture. ``logs``: (pictures, 9 things, 3 rows)."""
    found: Array = (places.answered(logs) == np.arange(CELLS) // 3).mean(1)
    return found


def record(shares: pd.DataFrame, rows: pd.DataFrame) -> dict[str, Any]:
    """By model and over models what the shared position does in each part."""
    models = {}
    for seed, its in shares.groupby("seed"):
        maps = {part: reading.averaged(its[its["part"] == part]) for part in PARTS}
        known = rows[rows["seed"] == seed].rename(columns={"picture": "grid", "part": "scheme"}).assign(what="row")
        right = places.figures(known, CHANCE)
        changed = reading.figures(maps)["rules"]
        models[str(seed)] = {part: {**changed[part], **right[part]["row"]} for part in PARTS}
    return {"models": models, "together": together(models)}
