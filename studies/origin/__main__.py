"""``python -m studies.origin run ...`` and ``... write``."""

from __future__ import annotations

from studies.origin.page import STUDY
from studies.origin.run import run
from studies.study import commands

if __name__ == "__main__":
    commands(STUDY, run)()
