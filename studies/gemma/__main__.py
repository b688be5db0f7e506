"""`python -m studies.gemma run|pictures|write`."""

from __future__ import annotations

from studies.gemma.page import STUDY
from studies.gemma.pictures import pictures
from studies.gemma.run import run
from studies.study import commands

app = commands(STUDY, run)
app.command("pictures")(pictures)

if __name__ == "__main__":
    app()
