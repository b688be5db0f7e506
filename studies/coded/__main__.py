"""`python -m studies.coded run|write`."""

from __future__ import annotations

from studies.coded.page import STUDY
from studies.coded.run import run
from studies.study import commands

app = commands(STUDY, run)

if __name__ == "__main__":
    app()
