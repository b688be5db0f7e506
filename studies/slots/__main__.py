"""`python -m studies.slots run|trained|write`."""

from __future__ import annotations

from studies.slots.page import STUDY
from studies.slots.run import run, run_trained
from studies.study import commands

app = commands(STUDY, run)
app.command("trained")(run_trained)

if __name__ == "__main__":
    app()
