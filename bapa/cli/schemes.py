"""``bapa schemes``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bapa.cli.console import out
from bapa.errors import ConfigError

_DRAWN = (".png", ".svg", ".pdf")
LARGEST = 1024  # patches along a side of a grid

if TYPE_CHECKING:
    from bapa.layout import Grid


def schemes(
    grid: Annotated[str | None, typer.Option(help="Distances of the rules on a grid of patches, e.g. 24x24.")] = None,
    picture: Annotated[Path | None, typer.Option(help="With --grid: draw them into this .png, .svg or .pdf.")] = None,
) -> None:
    """List the position schemes and their options, or what they do to a grid of patches."""
    from bapa.report import profiles
    from bapa.schemes import make, table

    if picture and grid is None:
        raise ConfigError(f"--picture {picture} draws distances on a grid of patches; name it: --grid 24x24")
    if grid is None:
        out.print(profiles.listing(table()))
        return
    if picture and (picture.suffix.lower() not in _DRAWN or not picture.parent.is_dir()):
        raise ConfigError(f"--picture {picture}: a {', '.join(_DRAWN)} in a folder that is there is accepted")
    lines = list(profiles.shown([make(row.name) for row in table()], _grid(grid)))
    out.print(profiles.distances(lines, grid))
    if picture:
        profiles.draw(lines).savefig(picture, dpi=200)
        out.print(escape(str(picture)), highlight=False)


def _grid(text: str) -> Grid:
    from bapa.layout import Grid

    rows, _, cols = text.lower().partition("x")
    if not (rows.isdecimal() and cols.isdecimal() and 0 < int(rows) <= LARGEST and 0 < int(cols) <= LARGEST):
        raise ConfigError(f"--grid {text!r}: rows x columns are accepted, each up to {LARGEST}, e.g. --grid 24x24")
    return Grid(int(rows), int(cols))
