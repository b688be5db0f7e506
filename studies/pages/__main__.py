"""``python -m studies.pages write``: nothing is measured here, so there is nothing to run."""

from __future__ import annotations

import typer

from studies.pages import page

app = typer.Typer(add_completion=False, no_args_is_help=True, help=page.__doc__)


@app.callback()
def main() -> None:
    """The pages of docs that say what the code says."""


@app.command()
def write() -> None:
    """Write the pages."""
    page.write()


if __name__ == "__main__":
    app()
