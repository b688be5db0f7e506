"""`python -m studies.coverage run|write`."""

from __future__ import annotations

from studies.coverage.page import STUDY
from studies.coverage.run import run
from studies.study import commands

app = commands(STUDY, run)

if __name__ == "__main__":
    app()
