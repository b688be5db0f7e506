"""``python -m studies.check run ...`` and ``... write``."""

from __future__ import annotations

from studies.check.page import STUDY
from studies.check.run import run
from studies.study import commands

if __name__ == "__main__":
    commands(STUDY, run)()
