"""`python -m studies.finetuned run|write`."""

from __future__ import annotations

from studies.finetuned.page import STUDY
from studies.finetuned.run import run
from studies.study import commands

if __name__ == "__main__":
    commands(STUDY, run)()
