"""``python -m studies.figures run ...`` and ``... write``."""

from __future__ import annotations

from studies.figures.page import STUDY
from studies.figures.run import run
from studies.study import commands

if __name__ == "__main__":
    commands(STUDY, run)()
