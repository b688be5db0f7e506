"""`python -m studies.taught fit|run|sites|write`."""

from __future__ import annotations

from studies.study import commands
from studies.taught.page import STUDY
from studies.taught.run import fit, run, sites

app = commands(STUDY, run)
app.command("fit")(fit)
app.command("sites")(sites)

if __name__ == "__main__":
    app()
