"""``python -m studies.side_effects run ...`` and ``... write``."""

from __future__ import annotations

from studies.side_effects.page import STUDY
from studies.side_effects.run import run
from studies.study import commands

if __name__ == "__main__":
    commands(STUDY, run)()
