"""``bapa report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bapa.cli.console import out


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders to show side by side, or one calibrated folder.")
    ],
    page: Annotated[
        Path | None, typer.Option("--out", help="The page.", show_default="report.html in the first RUN")
    ] = None,
    paper: Annotated[
        Path | None, typer.Option(help="Also write figures (SVG, PDF) and tables (CSV, LaTeX) here.")
    ] = None,
    noise_floor: Annotated[
        list[Path] | None,
        typer.Option(
            help="Run of the first RUN's model trained with another seed; repeatable. Its spread over seeds is shown."
        ),
    ] = None,
) -> None:
    """Write one self-contained HTML page over any number of runs, and heat maps as PNG and SVG beside it."""
    from bapa.report import write

    out.print(escape(str(write(runs, page, paper=paper, seeds=noise_floor or ()))), highlight=False)
