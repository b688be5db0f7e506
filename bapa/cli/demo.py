"""``bapa demo``: ``bapa check`` on two of the shipped models, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bapa.cli import check as checks
from bapa.cli.console import err, out

MODELS = ("top", "uniform")  # one that is biased, one that is not
ITEMS = 80  # that judge: about two and a half minutes on two cores


def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where everything goes; repeated, it resumes.")] = Path(
        "bapa-demo"
    ),
    items: Annotated[int, typer.Option(min=8, help="Items that judge each model.")] = ITEMS,
) -> None:
    """From nothing to a decision, offline: bapa check on two shipped models, one biased and one not."""
    from transformers.utils.logging import disable_progress_bar

    from bapa.check import check
    from bapa.checkpoints import load
    from bapa.report import check as page

    disable_progress_bar()  # of loading weights, which takes no time here
    made = []
    for name in MODELS:
        err.print(f"reference:{name}", style="bold", highlight=False)
        model = load(f"reference:{name}", device="cpu")
        made.append(check(model, folder / name, items=items, tell=checks.tell))
    for found in made:
        checks.show(found)
    out.print(checks.link(page.write(made, folder / page.PAGE)), highlight=False)
