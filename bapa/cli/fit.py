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
    probe_folder: Annotated[
        Path | None,
        typer.Option("--probe", help="Folder of a probe whose captions name single things: go on with its pictures."),
    ] = None,
    guard: Annotated[
        list[Path] | None,
        typer.Option(
            help="Side-effect probe, e.g. of task where, whose right answers the fit on pictures keeps; repeatable."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the fit on words.")] = 90,
    picture_steps: Annotated[int, typer.Option(min=1, help="Steps of the fit on pictures.")] = 40,
    grids: Annotated[int, typer.Option(min=6, help="Other grids, which judge the rule.")] = 48,
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
    """Fit how much of a shared position each attention head takes: on grids of words, then on pictures if there are."""
    from bapa.calibrate.words import fit as run
    from bapa.probe import Probe
    from bapa.report import fitted as page

    probe = None if probe_folder is None else Probe.load(probe_folder)
    guards = [Probe.load(path) for path in guard or ()]
    loaded = common.load(model, device, dtype, trust_remote_code, system, thinking, opening, more)
    found = run(
        loaded,
        folder,
        probe=probe,
        guards=guards,
        steps=steps,
        picture_steps=picture_steps,
        grids=grids,
        seed=seed,
        level=level,
    )
    for table in page.tables(found.found):
        out.print(table)
    for sentence in page.sentences(found):
        out.print(escape(sentence), highlight=False)
