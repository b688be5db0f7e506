"""``python -m studies.check run ...``, ``... nulls``, ``... picture FOLDER`` and ``... write``."""

from __future__ import annotations

from studies.check.page import STUDY
from studies.check.picture import picture
from studies.check.run import nulls, run
from studies.study import commands

app = commands(STUDY, run)
app.command("nulls")(nulls)
app.command("picture")(picture)

if __name__ == "__main__":
    app()
