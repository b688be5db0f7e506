"""``bapa run``."""

from __future__ import annotations

from typing import Annotated

import typer


def run(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The command and its arguments.")],
    scheme: Annotated[str, typer.Option(help="Scheme, e.g. bapa or bapa:distance=native.")] = "bapa",
) -> None:
    """Run any command with every vision-language model that it loads with transformers under a scheme."""
    from bapa.integrations.launcher import run

    raise typer.Exit(run(command, scheme))
