"""`python -m studies.slots run|trained|which|calibrated|origin|write`."""

from __future__ import annotations

from studies.slots.page import STUDY
from studies.slots.run import run, run_calibrated, run_origin, run_trained, run_which
from studies.study import commands

app = commands(STUDY, run)
app.command("trained")(run_trained)
app.command("which")(run_which)
app.command("calibrated")(run_calibrated)
app.command("origin")(run_origin)

if __name__ == "__main__":
    app()
