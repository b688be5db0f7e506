"""`python -m studies.words run|write`."""

from __future__ import annotations

from studies.study import commands
from studies.words.page import STUDY
from studies.words.run import run

if __name__ == "__main__":
    commands(STUDY, run)()
