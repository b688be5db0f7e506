"""`python -m studies.shuffled run|write`."""

from __future__ import annotations

from studies.shuffled.page import STUDY
from studies.shuffled.run import run
from studies.study import commands

app = commands(STUDY, run)

if __name__ == "__main__":
    app()
