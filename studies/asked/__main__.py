"""`python -m studies.asked run|write`."""

from __future__ import annotations

from studies.asked.page import STUDY
from studies.asked.run import run
from studies.study import commands

app = commands(STUDY, run)

if __name__ == "__main__":
    app()
