"""``bapa bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bapa.cli import options as common
from bapa.cli.console import out


def bench(
    model: common.Model,
    tasks: Annotated[
        str,
        typer.Option(help="Tasks of lmms-eval with commas between; paper, hallucination, layout; or probe:FOLDER."),
    ],
    scheme: Annotated[list[str], typer.Option(help="Schemes; each is compared with the first; repeatable.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the results; repeated, it resumes.")],
    limit: Annotated[int | None, typer.Option(help="Only the first so many documents of each task.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Prompts per forward.")] = 8,
    device: common.Device = common.DEVICE,
    dtype: common.Dtype = None,
    resamples: common.Resamples = 1000,
    level: common.Level = 0.95,
    seed: common.Seed = 0,
    more: common.Load = None,
    trust_remote_code: common.TrustRemoteCode = False,
) -> None:
    """Run benchmarks of lmms-eval under several schemes and show what each changes, document by document."""
    from bapa.integrations.lmms_eval.bench import bench
    from bapa.integrations.lmms_eval.table import table
    from bapa.stats import Settings

    rows = bench(
        model,
        [task.strip() for task in tasks.split(",")],
        scheme,
        folder,
        settings=Settings(resamples=resamples, level=level, seed=seed),
        limit=limit,
        batch_size=batch_size,
        device=device,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        **common.loading(more).record,
    )
    out.print(table(rows))
