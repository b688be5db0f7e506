"""``bapa doctor``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from bapa.cli.console import out


def doctor(
    model: Annotated[str | None, typer.Argument(help="A model to look at: folder, hub id or reference:NAME.")] = None,
) -> None:
    """Show what is installed; with MODEL, whether it can be balanced and where its tokens go."""
    from rich.table import Table

    from bapa.checkpoints.examine import examine, installed

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in (*installed(), *(examine(model) if model else ())):
        table.add_row(f"[dim]{escape(name)}[/]", escape(value))
    out.print(table)
