"""`python -m studies.aligned run|write`."""

from __future__ import annotations

from studies.aligned.page import STUDY
from studies.aligned.run import run
from studies.study import commands

if __name__ == "__main__":
    commands(STUDY, run)()
