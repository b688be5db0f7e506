"""`python -m studies.gemma run|write`."""

from __future__ import annotations

from studies.gemma.page import STUDY
from studies.gemma.run import run
from studies.study import commands

if __name__ == "__main__":
    commands(STUDY, run)()
