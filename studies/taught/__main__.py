"""`python -m studies.taught fit|run|sites|rows|keep|write`."""

from __future__ import annotations

from studies.study import commands
from studies.taught.page import STUDY
from studies.taught.run import fit, keep, rows, run, sites

app = commands(STUDY, run)
app.command("fit")(fit)
app.command("sites")(sites)
app.command("rows")(rows)
app.command("keep")(keep)

if __name__ == "__main__":
    app()
