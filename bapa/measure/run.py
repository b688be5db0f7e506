"""A finished run, read from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bapa.errors import RunError
from bapa.inference.store import ANSWERS, BIAS, RUN, read_json


@dataclass(frozen=True)
class Run:
    """A finished run. ``config``: what ``run.json`` holds; ``bias``: what ``bias.json`` holds."""

    path: Path
    config: dict[str, Any]
    bias: dict[str, Any]

    def answers(self) -> pd.DataFrame:
        """All answers, one row per item, cell, question and scheme: the columns of ``answers.parquet``."""
        return pd.read_parquet(self.path / ANSWERS)


def load_run(path: str | Path) -> Run:
    """The run in a folder.

    Raises RunError where there is none, or it is not finished.
    """
    path = Path(path)
    if (path / "progress").is_dir() and not (path / RUN).exists():
        raise RunError(f"the run in {path} is not finished; run the same bapa measure command again")
    missing = [name for name in (RUN, BIAS, ANSWERS) if not (path / name).is_file()]
    if missing:
        raise RunError(
            f"no run in {path} ({missing[0]} is missing); make one: bapa measure MODEL --probe PROBE --out {path}"
        )
    return Run(path, read_json(path / RUN), read_json(path / BIAS))
