"""``python -m studies.families run ...`` and ``... write``."""

from __future__ import annotations

from studies.families.page import STUDY
from studies.families.run import run
from studies.study import commands

if __name__ == "__main__":
    commands(STUDY, run)()
