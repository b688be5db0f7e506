"""`python -m studies.mixed run|write`."""

from __future__ import annotations

from studies.mixed.page import STUDY
from studies.mixed.run import run
from studies.study import commands

app = commands(STUDY, run)

if __name__ == "__main__":
    app()
