"""``bapa fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bapa.cli import options as common
from bapa.cli.console import out


def fit(
    model: common.Model,
    folder: Annotated[Path, typer.Option("--out", help="Folder of the fitted model; repeated, it resumes.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps of the fit.")] = 90,
    grids: Annotated[int, typer.Option(min=6, help="Other grids of words, which judge the rule.")] = 48,
    level: common.Level = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the grids.")] = 0,
    device: common.Device = common.DEVICE,
    dtype: common.Dtype = None,
    system: common.System = None,
    thinking: common.Thinking = None,
    opening: common.Opening = "",
    more: common.Load = None,
    trust_remote_code: common.TrustRemoteCode = False,
) -> None:
    """Fit how much of a shared position each attention head takes, on grids of words: no picture, no label needed."""
    from bapa.calibrate.words import fit as run
    from bapa.report import fitted as page

    loaded = common.load(model, device, dtype, trust_remote_code, system, thinking, opening, more)
    found = run(loaded, folder, steps=steps, grids=grids, seed=seed, level=level)
    out.print(page.table(found.found))
    for sentence in page.sentences(found):
        out.print(escape(sentence), highlight=False)
