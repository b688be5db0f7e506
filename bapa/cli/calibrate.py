"""``bapa calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bapa.cli import options as common
from bapa.cli.console import err, out


def calibrate(
    model: common.Model,
    folder: Annotated[Path, typer.Option("--out", help="Folder of the calibrated model; repeated, it resumes.")],
    probe_folder: common.ProbeFolder,
    items: Annotated[int, typer.Option(help="Items that pick the rule.")] = 32,
    held_out: Annotated[int | None, typer.Option(help="Other items that judge it.", show_default="all others")] = None,
    guard: Annotated[
        list[Path] | None,
        typer.Option(help="Side-effect probe, e.g. of task where; repeatable."),
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(help="Share of native that every --guard must keep, e.g. 0.9; searches parts of the model too."),
    ] = None,
    fit: Annotated[
        bool,
        typer.Option(
            "--fit", help="With --keep: fit how much of the rule each head takes, by gradient; no weight changes."
        ),
    ] = False,
    criterion: Annotated[
        str, typer.Option(help="accuracy, or without labels: information, margin, certainty, agreement.")
    ] = "accuracy",
    steps: Annotated[int, typer.Option(help="Distances tried besides the paper's.")] = 24,
    full: Annotated[bool, typer.Option("--full", help="Ask every rule about all items.")] = False,
    batch_size: common.BatchSize = 18,
    resamples: common.Unused = None,
    level: common.Level = 0.95,
    seed: Annotated[int, typer.Option(help="With --fit: seed of what it learns from, in which order.")] = 0,
    device: common.Device = common.DEVICE,
    dtype: common.Dtype = None,
    system: common.System = None,
    thinking: common.Thinking = None,
    opening: common.Opening = "",
    more: common.Load = None,
    trust_remote_code: common.TrustRemoteCode = False,
) -> None:
    """Pick how far the text stands from a shared image position, on a few items, without training."""
    from bapa.calibrate import calibrate as run
    from bapa.probe import Probe
    from bapa.report import calibration as page
    from bapa.stats import Settings

    common.unused(resamples=resamples)
    probe = Probe.load(probe_folder)  # what is mistyped must not wait for a model
    guards = [Probe.load(path) for path in guard or ()]
    found = run(
        common.load(model, device, dtype, trust_remote_code, system, thinking, opening, more),
        probe,
        folder,
        items=items,
        held_out=held_out,
        guards=guards,
        criterion=criterion,
        steps=steps,
        full=full,
        batch_size=batch_size,
        statistics=Settings(level=level, seed=seed),
        keep=keep,
        fit=fit,
        tell=lambda cost: err.print(escape(page.cost(cost)), highlight=False),
    )
    for sentence in page.sentences(found.found):
        out.print(escape(sentence), highlight=False)
    written = page.write(found.found, folder / "calibration")
    err.print(escape(str(written)), style="dim", highlight=False)
