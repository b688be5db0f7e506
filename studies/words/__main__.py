"""`python -m studies.words run|sites|write`."""

from __future__ import annotations

from studies.study import commands
from studies.words.page import STUDY
from studies.words.run import run, sites

app = commands(STUDY, run)
app.command("sites")(sites)

if __name__ == "__main__":
    app()
