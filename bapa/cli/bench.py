"""``bapa bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bapa.cli.console import out as console

if TYPE_CHECKING:
    from rich.table import Table

    from bapa.integrations.lmms_eval.compare import Compared


def bench(
    model: Annotated[str, typer.Argument(help="A folder, a hub id, or reference:NAME.")],
    tasks: Annotated[
        str,
        typer.Option(help="Tasks of lmms-eval with commas between; paper, hallucination, layout; or probe:FOLDER."),
    ],
    scheme: Annotated[list[str], typer.Option(help="Schemes; each is compared with the first; repeatable.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the results; repeated, it resumes.")],
    limit: Annotated[int | None, typer.Option(help="Only the first so many documents of each task.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Prompts per forward.")] = 8,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...")] = "cpu",
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 ... [default: float32 on cpu]")] = None,
    resamples: Annotated[int, typer.Option(min=10, help="Bootstrap draws.")] = 1000,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Level of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code", help="Run code of the model.")] = False,
) -> None:
    """Run benchmarks of lmms-eval under several schemes and show what each changes, document by document."""
    from bapa.integrations.lmms_eval.bench import bench
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
    )
    console.print(table(rows))


def table(rows: list[Compared]) -> Table:
    """One line for each metric and scheme but the first: both figures, their difference and what is known of it."""
    from rich.table import Table

    shown = Table("task", "metric", "documents", "scheme", box=None, pad_edge=False, header_style="dim")
    for title in ("first", "this", "difference", "interval", "p"):
        shown.add_column(title, justify="right")
    for row in rows:
        base, *others = row.figures
        for label in others or [base]:
            found, p = row.differences.get(label), row.p.get(label)
            bounds = found and (found["low"], found["high"])
            shown.add_row(
                row.task,
                row.metric,
                str(row.documents),
                label,
                f"{row.figures[base]:.3f}",
                f"{row.figures[label]:.3f}",
                f"{found['value']:+.3f}" if found else "",
                f"[{bounds[0]:+.3f}, {bounds[1]:+.3f}]" if bounds and None not in bounds else "",
                "" if p is None else f"{p:.3g}",
            )
    return shown
