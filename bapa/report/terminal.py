"""A run in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bapa.measure.run import Run
from bapa.probe.slots import Slots
from bapa.report import claims
from bapa.report.view import units
from bapa.schemes.shares import brief
from bapa.stats.quantities import overall
from bapa.stats.text import Estimated, interval, percent

_ENDLESS = 10_000  # columns of a console
_COLUMNS = ("auc", "auc_range", "auc_worst_cell", "hit", "range", "false_alarm", "mass")


def table(run: Run) -> RenderableType:
    """One line per scheme: AUC as the cells stand on the canvas (hits where nothing absent was asked), then figures
    over cells with intervals, in %.
    """
    bias, quantity = run.bias, claims.main(run.bias)[0]
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), header_style="bold")
    shown.add_column("scheme", overflow="fold")
    shown.add_column(f"{claims.name(bias)} by {Slots.of(bias['probe']).word}", no_wrap=True)
    columns = _columns(bias)
    for key in columns:
        shown.add_column(overall(key).short, justify="right", no_wrap=True)
    for label, scheme in bias["schemes"].items():
        figures = (Text(figure(scheme["overall"][key]), justify="right") for key in columns)
        shown.add_row(brief(label), _grid(scheme["cells"], quantity, bias["probe"]["cols"]), *figures)
    level = f"{100 * bias['level']:g}"
    return Group(
        Text.assemble(
            (bias["model"]["name"], "bold"),
            f" · {bias['probe']['items']} items · % with {level} % intervals over {units(bias)}\n",
        ),
        _Fitting(shown, _listed(run)),
        *(Text(line, style="dim") for line in _notes(run)),
    )


@dataclass(frozen=True)
class _Fitting:
    """``wide`` where the console has room for it, else ``narrow``: a table that is squeezed loses figures."""

    wide: RenderableType
    narrow: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = Measurement.get(console, options.update(max_width=_ENDLESS), self.wide).maximum
        yield self.wide if needed <= options.max_width else self.narrow


def _columns(bias: Mapping[str, Any]) -> list[str]:
    """The figures that this run has: without a question about what is not there, for one, none of AUC."""
    figures = [scheme["overall"] for scheme in bias["schemes"].values()]
    return [key for key in _COLUMNS if any(found[key]["value"] is not None for found in figures)]


def _listed(run: Run) -> RenderableType:
    """The same figures below each other, scheme by scheme."""
    bias, quantity = run.bias, claims.main(run.bias)[0]
    parts: list[RenderableType] = []
    for label, scheme in bias["schemes"].items():
        parts.append(Text(brief(label), style="bold"))
        parts.append(Text(f"{claims.name(bias)} by {Slots.of(bias['probe']).word}"))
        parts.append(_grid(scheme["cells"], quantity, bias["probe"]["cols"]))
        for key in _columns(bias):
            parts.append(Text(f"{overall(key).short}  {' '.join(figure(scheme['overall'][key]).split())}"))
        parts.append(Text())
    return Group(*parts)


def _notes(run: Run) -> Iterator[str]:
    """What else one must know: what is no answer, whether batching changed answers, and the arithmetic's noise."""
    yield from (claims.wanted(run.bias, label) for label in run.bias["schemes"] if not claims.answers(run.bias, label))
    yield from filter(None, [claims.few(run.bias), claims.cut(run.bias), _geometry(run.bias)])
    if (asked := run.config.get("prompts")) and asked["unknown"]:
        yield (
            f"unread: {asked['unknown']} of the {asked['tokens']} tokens of the prompts are words that this model's "
            "tokenizer does not know; what it cannot read it can only guess at"
        )
    audit = run.config.get("audit")
    if audit and audit["answers"]:
        slots = Slots.of(run.bias["probe"])
        moved = audit["largest_margin_difference"]
        margin = "" if moved is None else f", largest difference of a margin {moved:.1g}"
        yield f"audit: {audit['answers']} answers asked again one by one, {len(audit['flips'])} flipped{margin}"
        for flip in audit["flips"]:
            yield (
                f"  flipped: item {flip['item']}, {slots.name(flip['cell'])}, {flip['question']}, {flip['scheme']}: "
                f"{flip['answer']} in its batch, {flip['alone']['answer']} alone"
            )
    if words := claims.written(run.bias):
        yield f"in words: {words}"
    if run.config.get("failed"):
        yield f"failed: {run.config['failed']} of {run.config['answers']} answers; their reasons are in answers.parquet"
    if unread := run.config.get("unread", {}).get("answers"):
        yield f"not read: {unread} of {run.config['answers']} answers name no choice, or several; the first:"
        yield from (f"  {line}" for line in run.config["unread"]["first"])
    for label, found in run.bias.get("floors", {}).items():
        moved = found["largest_margin_difference"]
        margin = "" if moved is None else f", largest difference of a margin {moved:.1g}"
        yield f"floor: {found['flips']} of {found['answers']} answers flip from native to {label}{margin}"


def _geometry(bias: Mapping[str, Any]) -> str:
    """How the cells fall on image tokens, where that is as it should be or not told."""
    found = bias.get("geometry")
    if found is None or claims.cut(bias):
        return ""
    word = Slots.of(bias["probe"]).word
    if found["tokens"] is None:
        return f"image tokens of each {word}: not told, {found['reason']}"
    rows, cols = found["tokens"]
    return f"image tokens of each {word}: {found['cell'][1]:g} of {rows} x {cols}, all whole"


def figure(estimate: Estimated) -> str:
    """An estimate in %, its interval below it: ``63.1`` over ``[58, 68]``."""
    return f"{percent(estimate['value'], 1)}\n{interval(estimate)}".rstrip()


def _grid(cells: list[Mapping[str, Any]], quantity: str, cols: int) -> Text:
    grid = Text()
    for cell in cells:
        rate = cell[quantity]["value"]
        grid.append("   –" if rate is None else f"{percent(rate):>4}", style="" if rate is None else _colour(rate))
        if cell["col"] == cols - 1 and cell is not cells[-1]:
            grid.append("\n")
    return grid


def _colour(rate: float) -> str:
    return "red" if rate < 1 / 3 else "yellow" if rate < 2 / 3 else "green"
