"""``bapa export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bapa.cli.console import out
from bapa.cli.options import TrustRemoteCode


def export(
    model: Annotated[str, typer.Argument(help="A folder (of a model or an adapter), a hub id, or reference:NAME.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the checkpoint.")],
    scheme: Annotated[
        str | None, typer.Option(help="Scheme to record.", show_default="the one it was tuned under")
    ] = None,
    self_contained: Annotated[
        bool, typer.Option("--self-contained", help="Add code that loads it balanced where bapa is not installed.")
    ] = False,
    run: Annotated[Path | None, typer.Option(help="A run folder whose figures go into the model card.")] = None,
    dtype: Annotated[
        str, typer.Option(help="Of the weights: float32, bfloat16 ...; auto: the checkpoint's own.")
    ] = "auto",
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Write a checkpoint with its scheme on record: adapter merged, config.bapa, a model card."""
    from bapa.checkpoints import load
    from bapa.checkpoints.export import check
    from bapa.checkpoints.export import export as write
    from bapa.report import card

    check(folder)  # what is mistyped must not wait for a model
    measured = card.measured(run) if run else None
    loaded = load(model, device="cpu", dtype=dtype, trust_remote_code=trust_remote_code)
    written = write(loaded, folder, scheme, self_contained=self_contained, measured=measured)
    out.print(escape(str(written)), highlight=False)
