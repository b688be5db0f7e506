"""``python -m studies.tuning run ...`` and ``... write``."""

from __future__ import annotations

from studies.study import commands
from studies.tuning.page import STUDY
from studies.tuning.run import run

if __name__ == "__main__":
    commands(STUDY, run)()
