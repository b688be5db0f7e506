"""``python -m studies.serving run [FAMILY ...]`` and ``... write``."""

from __future__ import annotations

from studies.serving.page import STUDY
from studies.serving.run import run
from studies.study import commands

if __name__ == "__main__":
    commands(STUDY, run)()
