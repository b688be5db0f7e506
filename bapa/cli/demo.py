"""``bapa demo``: the main job in one command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bapa.cli.console import out

MODELS = ("bottom", "top")
SCHEMES = ("native", "bapa", "bapa:distance=native")


def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where everything goes; repeated, it resumes.")] = Path(
        "bapa-demo"
    ),
    items: Annotated[int, typer.Option(min=10, help="Number of probe items.")] = 200,
) -> None:
    """Everything once, offline: probe, two shipped models, three schemes, one report."""
    # One thread per operation: a model this small only waits for more of them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from transformers.utils.logging import disable_progress_bar

    from bapa.checkpoints import load
    from bapa.measure import measure
    from bapa.probe import Design, build
    from bapa.report import words, write

    disable_progress_bar()  # of loading weights, which takes no time here
    probe = build("digits", folder / "probe", Design(items=items))
    runs = [measure(load(f"reference:{name}"), probe, SCHEMES, folder / name) for name in MODELS]
    report = write([run.path for run in runs], folder / "report.html")
    for sentence in words.summary([(run.bias["model"]["name"], run.bias) for run in runs]):
        out.print(f"\n{escape(sentence)}", highlight=False)
    link = f"[link={report.resolve().as_uri()}]{escape(str(report))}[/link]"
    out.print(f"\nThe report: {link}", highlight=False)
