"""`bapa origin`: where the bias comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bapa.cli import options as common
from bapa.cli.console import out


def origin(
    model: common.Model,
    folder: Annotated[Path, typer.Option("--out", help="A run folder, new or measured before; repeated, it resumes.")],
    probe_folder: common.ProbeFolder,
    items: Annotated[int | None, typer.Option(help="Only the first so many items.")] = None,
    draws: Annotated[int, typer.Option(min=1, help="How often each item makes each move.")] = 2,
    batch_size: common.BatchSize = 18,
    part: Annotated[
        list[str] | None,
        typer.Option(help="Beside the interventions: encoder, occlusion, flow; or none.", show_default="all"),
    ] = None,
    closely: Annotated[int, typer.Option(min=1, help="Items in occlusion and flow.")] = 12,
    mask: Annotated[int | None, typer.Option(help="Side of an occluding square, px.", show_default="cell / 3")] = None,
    stride: Annotated[
        int | None, typer.Option(help="Pixels from one square to the next.", show_default="its side")
    ] = None,
    fill: Annotated[str, typer.Option(help="What a square shows: mean, ground, noise or #rrggbb.")] = "mean",
    cluster: common.Cluster = common.Unit.auto,
    resamples: common.Resamples = 1000,
    level: common.Level = 0.95,
    seed: common.Seed = 0,
    device: common.Device = common.DEVICE,
    dtype: common.Dtype = None,
    system: common.System = None,
    thinking: common.Thinking = None,
    opening: common.Opening = "",
    more: common.Load = None,
    trust_remote_code: common.TrustRemoteCode = False,
) -> None:
    """Say where a model's spatial bias comes from: its encoder, the order of its tokens, or their positions."""
    from bapa.origin import Options, explain
    from bapa.origin.options import PARTS, check_slots
    from bapa.probe import Probe
    from bapa.report import origin as page
    from bapa.report.origin_tables import attribution
    from bapa.stats import Settings

    probe = Probe.load(probe_folder)  # what is mistyped must not wait for a model
    check_slots(probe)
    options = Options(
        items=items,
        draws=draws,
        batch_size=batch_size,
        parts=PARTS if part is None else tuple(name for name in part if name != "none"),
        closely=closely,
        mask=mask,
        stride=stride,
        fill=fill,
        statistics=Settings(resamples, level, seed, cluster.value),
    )
    loaded = common.load(model, device, dtype, trust_remote_code, system, thinking, opening, more)
    found = explain(loaded, probe, folder, options)
    page.write(found, probe)
    out.print(attribution(found.found))
    out.print(escape(found.verdict["sentence"]), highlight=False)
    for what, why in found.found["not_done"].items():
        out.print(f"not done: {escape(what)}: {escape(why)}", style="dim", highlight=False)
