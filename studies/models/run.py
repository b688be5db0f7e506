"""Reads the configs in ``configs``, as ``bapa doctor --all`` does."""

from __future__ import annotations

from dataclasses import asdict

import transformers
from rich.progress import track

from bapa.checkpoints.catalog import MUCH_USED, read
from studies.models.page import STUDY


def run() -> None:
    """Read what each config tells, without weights, and keep it in the record."""
    configs = STUDY.path.parent / "configs"
    found = {name: asdict(read(name, str(configs / name))) for name in track(MUCH_USED, "configs")}
    STUDY.keep({"transformers": transformers.__version__, "models": found})
