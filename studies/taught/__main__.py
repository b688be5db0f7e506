"""`python -m studies.taught run|write`."""

from __future__ import annotations

from studies.study import commands
from studies.taught.page import STUDY
from studies.taught.run import run

if __name__ == "__main__":
    commands(STUDY, run)()
