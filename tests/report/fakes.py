"""Run folders with chosen hit rates, in the form `bapa measure` writes them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bapa.probe import Probe
from bapa.stats.bias import bias

SKEWED = [[0.33, 0.30, 0.23], [0.55, 0.57, 0.75], [0.98, 0.98, 0.98]]
FLAT = [[0.98, 0.97, 0.98], [0.98, 0.98, 0.98], [0.97, 0.98, 0.98]]
LOW = [[0.63, 0.57, 0.63], [0.57, 0.60, 0.60], [0.62, 0.65, 0.58]]
COLUMNS = ["item", "cell", "row", "col", "question", "kind", "scheme", "answer", "correct", "margin", "error"]


def fake_answers(schemes: dict[str, list[list[float]]], items: int = 80, seed: int = 0) -> pd.DataFrame:
    """Answers whose hit rate per cell is that of the table; an item is equally easy everywhere."""
    rng = np.random.default_rng(seed)
    ease = rng.random(items)
    rows: list[tuple[Any, ...]] = []
    for scheme, table in schemes.items():
        cols = len(table[0])
        for item in range(items):
            for cell, rate in enumerate(np.ravel(table)):
                for kind, yes in (
                    ("present", ease[item] < rate),
                    ("absent", rng.random() < 0.02),
                    ("near_miss", rng.random() < 0.04),
                ):
                    margin = float(np.clip(rng.normal(2, 1), 0.1, None)) * (1 if yes else -1)
                    row, col = divmod(cell, cols)
                    correct = bool(yes == (kind == "present"))
                    answer = "yes" if yes else "no"
                    rows.append((item, cell, row, col, kind, kind, scheme, answer, correct, margin, None))
    return pd.DataFrame(rows, columns=COLUMNS)


@lru_cache(32)
def _statistics(schemes: str, items: int) -> str:
    tables = json.loads(schemes)
    first = next(iter(tables.values()))
    return json.dumps(bias(fake_answers(tables, items), rows=len(first), cols=len(first[0])))


def fake_bias(
    schemes: dict[str, list[list[float]]], model: str = "reference:bottom", items: int = 80
) -> dict[str, Any]:
    table = next(iter(schemes.values()))
    found: dict[str, Any] = json.loads(_statistics(json.dumps(schemes), items))  # a copy of its own
    found["model"] = {"name": model, "fingerprint": "f" * 64}
    found["probe"] = {
        "rows": len(table),
        "cols": len(table[0]),
        "items": items,
        "source": "digits",
        "path": "gone",
        "fingerprint": "0" * 64,
    }
    return found


def fake_run(folder: Path, bias: dict[str, Any], answers: pd.DataFrame, probe: Probe | None = None) -> Path:
    """A finished run; of ``probe``, where one is given."""
    folder.mkdir(parents=True)
    if probe:
        bias = {**bias, "probe": {**bias["probe"], "path": str(probe.path), "fingerprint": probe.fingerprint}}
    run = {
        "version": 1,
        "config": {"schemes": list(bias["schemes"]), "run": {"batch_size": 4, "audit": 16}, "statistics": {"seed": 7}},
        "model": bias["model"],
        "command": "bapa measure MODEL",
        "versions": {"torch": "2.13.0"},
    }
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "bias.json").write_text(json.dumps(bias))
    answers.to_parquet(folder / "answers.parquet")
    return folder
