"""`python -m studies.fitted fit|run|write`."""

from __future__ import annotations

from studies.fitted.page import STUDY
from studies.fitted.run import fit, run
from studies.study import commands

app = commands(STUDY, run)
app.command("fit")(fit)

if __name__ == "__main__":
    app()
