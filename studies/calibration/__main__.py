"""``python -m studies.calibration run ...`` and ``... write``."""

from __future__ import annotations

from studies.calibration.page import STUDY
from studies.calibration.run import run
from studies.study import commands

if __name__ == "__main__":
    commands(STUDY, run)()
