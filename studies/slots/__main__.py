"""`python -m studies.slots run|write`."""

from __future__ import annotations

from studies.slots.page import STUDY
from studies.slots.run import run
from studies.study import commands

app = commands(STUDY, run)

if __name__ == "__main__":
    app()
