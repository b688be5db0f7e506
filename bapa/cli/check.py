"""``bapa check``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bapa.cli import options as common
from bapa.cli.console import err, out
from bapa.errors import ConfigError

if TYPE_CHECKING:
    from bapa.check import Check
    from bapa.check.estimate import Estimate

_UNITS = {"s": 1, "m": 60, "h": 3600}


def check(
    model: common.Model,
    folder: Annotated[
        Path, typer.Option("--out", help="Folder of everything; the same command goes on where it stopped.")
    ] = Path("CHECK"),
    pictures: Annotated[
        str, typer.Option(help="Content to ask about: digits, emoji, or a folder with metadata.jsonl.")
    ] = "digits",
    task: Annotated[
        str, typer.Option(help="match: is it there, yes or no; name: what is there, for models not made to answer.")
    ] = "match",
    budget: Annotated[str, typer.Option(help="Time it may take, e.g. 90s, 20m, 2h.")] = "20m",
    items: Annotated[int | None, typer.Option(help="Items that judge.", show_default="what fits the budget")] = None,
    until: Annotated[
        str | None, typer.Option(help="The last step to take: estimate, measure, origin, calibrate or keep.")
    ] = None,
    batch_size: common.BatchSize = 18,
    image_column: Annotated[str | None, typer.Option(help="Column of the picture.")] = None,
    caption_column: Annotated[str, typer.Option(help="Column of the caption.")] = "caption",
    split: Annotated[str, typer.Option(help="Split of a data set.")] = "train",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the probe.")] = 0,
    device: common.Device = common.DEVICE,
    dtype: common.Dtype = None,
    system: common.System = None,
    thinking: common.Thinking = None,
    opening: common.Opening = "",
    more: common.Load = None,
    trust_remote_code: common.TrustRemoteCode = False,
) -> None:
    """From nothing to a decision: is the model biased, why, and what to do about it."""
    from bapa.check import check as run
    from bapa.probe import Columns
    from bapa.report import check as page

    seconds = _seconds(budget)
    found = run(
        common.load(model, device, dtype, trust_remote_code, system, thinking, opening, more),
        folder,
        pictures=pictures,
        task=task,
        columns=Columns(image_column, caption_column),
        split=split,
        budget=seconds,
        items=items,
        until=until,  # type: ignore[arg-type]  # checked where it is used
        batch_size=batch_size,
        seed=seed,
        tell=tell,
    )
    show(found)
    out.print(link(page.write([found], folder / page.PAGE)), highlight=False)


def tell(estimate: Estimate) -> None:
    """Say how long it will take, before it starts."""
    from bapa.report.check import estimated

    for line in estimated(estimate):
        err.print(line, highlight=False)


def show(found: Check) -> None:
    """The decision, what it rests on, and what to type next."""
    from bapa.report import check as page

    headline, *rest = page.lines(found)
    out.print(f"\n{escape(found.evidence.model)}: [bold]{escape(headline)}[/]", highlight=False)
    for sentence in rest:
        out.print(escape(sentence), highlight=False)
    for line in page.steps(found):
        out.print(f"  {escape(line)}", highlight=False, soft_wrap=True)


def link(page: Path) -> str:
    """``page`` as a terminal shows it."""
    return f"\nThe page: [link={page.resolve().as_uri()}]{escape(str(page))}[/link]"


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not found or not float(found[1]):
        raise ConfigError(f"--budget {text}: a number with s, m or h is accepted, e.g. --budget 20m")
    return float(found[1]) * _UNITS[found[2]]
