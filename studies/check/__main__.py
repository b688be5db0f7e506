"""``python -m studies.check run ...``, ``... nulls`` and ``... write``."""

from __future__ import annotations

from studies.check.page import STUDY
from studies.check.run import nulls, run
from studies.study import commands

app = commands(STUDY, run)
app.command("nulls")(nulls)

if __name__ == "__main__":
    app()
