"""`python -m studies.asked run|write`."""

from __future__ import annotations

import typer

from studies.asked.run import run

if __name__ == "__main__":
    typer.run(run)
