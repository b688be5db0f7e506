"""`python -m studies.mixed fit|run|write`."""

from __future__ import annotations

from studies.mixed.page import STUDY
from studies.mixed.run import fit, run
from studies.study import commands

app = commands(STUDY, run)
app.command("fit")(fit)

if __name__ == "__main__":
    app()
