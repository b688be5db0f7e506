"""``python -m studies.where run ...`` and ``... write``."""

from __future__ import annotations

from studies.study import commands
from studies.where.page import STUDY
from studies.where.run import run

if __name__ == "__main__":
    commands(STUDY, run)()
