"""``python -m studies.models run`` and ``... write``."""

from __future__ import annotations

from studies.models.page import STUDY
from studies.models.run import run
from studies.study import commands

if __name__ == "__main__":
    commands(STUDY, run)()
