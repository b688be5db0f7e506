"""The command line: one thin command per verb. What takes time to import is imported by the command that needs it."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from typer.core import TyperGroup

import bapa
from bapa.cli import bench, explore, run
from bapa.cli.backends import Backend
from bapa.cli.calibrate import calibrate
from bapa.cli.console import err, out
from bapa.cli.export import export
from bapa.cli.origin import origin
from bapa.cli.serve import serve
from bapa.cli.tune import tune
from bapa.errors import BapaError, ConfigError
from bapa.probe.design import Background, Design, Distractors, Lures, Order, Signs, Task
from bapa.probe.placement import Placement

# The order in which a person meets them: from a first look to what to do about it.
_VERBS = [
    "demo",
    "probe",
    "measure",
    "report",
    "origin",
    "calibrate",
    "tune",
    "export",
    "bench",
    "serve",
    "run",
    "explore",
    "schemes",
    "doctor",
]


class Unit(str, Enum):
    """What ``bapa measure --cluster`` accepts."""

    auto = "auto"
    item = "item"
    picture = "picture"
    caption = "caption"
    group = "group"


_COMMON = ("scope", "image_attention")  # options that every scheme takes


class Commands(TyperGroup):
    """Commands whose errors for users are one line on stderr and exit code 2."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer's Context is click's
        return sorted(self.commands, key=_VERBS.index)

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer's Context is click's
        try:
            return super().invoke(ctx)
        except BapaError as error:
            if ctx.params["debug"]:
                raise
            err.print(f"[bold red]bapa:[/] {escape(' '.join(str(error).split()))}", soft_wrap=True, highlight=False)
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=Commands,
    help="Spatial bias in vision-language models: measure it, explain it, remove it. Start with: bapa demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(bapa.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Options that stand before the command."""


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where everything goes; repeated, it resumes.")] = Path(
        "bapa-demo"
    ),
    items: Annotated[int, typer.Option(min=10, help="Number of probe items.")] = 200,
) -> None:
    """Everything once, offline: probe, two shipped models, three schemes, one report."""
    # One thread per operation: a model this small only waits for more of them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from bapa.cli.demo import demo

    result = demo(folder, items=items)
    for sentence in result.sentences:
        out.print(f"\n{escape(sentence)}", highlight=False)
    out.print(
        f"\nThe report: [link={result.report.resolve().as_uri()}]{escape(str(result.report))}[/link]", highlight=False
    )


def _says(field: str) -> str:
    return (Design.model_fields[field].description or "").capitalize() + "."


@app.command()
def probe(
    source: Annotated[
        str,
        typer.Argument(
            help="digits, emoji or the folder of one of its packages, a folder with metadata.jsonl, a parquet file, or "
            "a hub data set."
        ),
    ],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the probe.")],
    rows: Annotated[int | None, typer.Option(help=_says("rows"))] = None,
    cols: Annotated[int | None, typer.Option(help=_says("cols"))] = None,
    cell: Annotated[int | None, typer.Option(help=_says("cell"))] = None,
    items: Annotated[int | None, typer.Option(help=_says("items"))] = None,
    seed: Annotated[int | None, typer.Option(help=_says("seed"))] = None,
    task: Annotated[Task | None, typer.Option(help=_says("task"))] = None,
    placement: Annotated[Placement | None, typer.Option(help=_says("placement"))] = None,
    distractors: Annotated[Distractors | None, typer.Option(help=_says("distractors"))] = None,
    background: Annotated[Background | None, typer.Option(help=_says("background"))] = None,
    order: Annotated[Order | None, typer.Option(help=_says("order"))] = None,
    prompts: Annotated[list[str] | None, typer.Option("--prompt", help=_says("prompts"))] = None,
    lines: Annotated[list[str] | None, typer.Option("--line", help=_says("lines"))] = None,
    answers: Annotated[Signs | None, typer.Option(help=_says("answers"))] = None,
    choices: Annotated[int | None, typer.Option(help=_says("choices"))] = None,
    patch: Annotated[int | None, typer.Option(help=_says("patch"))] = None,
    align: Annotated[str | None, typer.Option(help="Model whose image tokens the cells are to hold whole.")] = None,
    absent: Annotated[bool | None, typer.Option(help=_says("absent"))] = None,
    near_miss: Annotated[bool | None, typer.Option(help=_says("near_miss"))] = None,
    lures: Annotated[Lures | None, typer.Option(help=_says("lures"))] = None,
    image_column: Annotated[str | None, typer.Option(help="Column of the picture.")] = None,
    caption_column: Annotated[str, typer.Option(help="Column of the caption.")] = "caption",
    group_column: Annotated[str | None, typer.Option(help="Column whose equal values make near misses.")] = None,
    question_column: Annotated[str, typer.Option(help="Vqa: column of the question.")] = "question",
    answer_column: Annotated[str, typer.Option(help="Vqa: column of the answer.")] = "answer",
    split: Annotated[str, typer.Option(help="Split of a data set.")] = "train",
    strict: Annotated[bool, typer.Option(help="Make a picture that cannot be used an error.")] = False,
    render: Annotated[Path | None, typer.Option(help="Also write every canvas as a plain picture here.")] = None,
    lmms_eval: Annotated[Path | None, typer.Option(help="Also write it as a task of lmms-eval here.")] = None,
) -> None:
    """Build a probe: the same content to be asked about in every cell of a grid."""
    from bapa.probe import Columns, build
    from bapa.probe import render as write_pictures

    given = {name: value for name, value in locals().items() if name in Design.model_fields and value is not None}
    if align:
        from bapa.families.alignment import fitted

        given |= fitted(align, given)
    columns = Columns(image_column, caption_column, group_column, question_column, answer_column)
    built = build(source, folder, Design(**given), columns=columns, split=split, strict=strict)
    for entry in built.left_out:
        err.print(f"left out: {escape(str(entry))}", highlight=False, soft_wrap=True)
    out.print(f"{len(built.items)} items in {built.rows} x {built.cols} cells: {escape(str(folder))}", highlight=False)
    if render:
        out.print(escape(str(write_pictures(built, render))), highlight=False)
    if lmms_eval:
        from bapa.integrations.lmms_eval.task import write_task

        out.print(escape(str(write_task(built, lmms_eval))), highlight=False)


@app.command()
def measure(
    model: Annotated[str, typer.Argument(help="A folder, a hub id, or reference:NAME.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the run; repeated, it resumes.")],
    probe_folder: Annotated[Path, typer.Option("--probe", help="Folder of the probe.")],
    scheme: Annotated[
        list[str] | None,
        typer.Option(
            help="Scheme, e.g. native, bapa:distance=native or null (the noise floor); repeatable. "
            "[default: native and the scheme the model's config records, else bapa]",
            show_default=False,
        ),
    ] = None,
    items: Annotated[int | None, typer.Option(help="Only the first so many items.")] = None,
    batch_size: Annotated[int, typer.Option(help="Canvases per forward.")] = 18,
    generate: Annotated[int, typer.Option(help="Let the model write so many tokens; 0 reads logits.")] = 0,
    audit: Annotated[int, typer.Option(help="Canvases asked again one by one, with nothing shared.")] = 16,
    fail_on_error: Annotated[str, typer.Option(help="Answers that may fail: a count, or a fraction below 1.")] = "0",
    cluster: Annotated[
        Unit,
        typer.Option(help="What counts as one observation; auto: what items share, where that repeats, else the item."),
    ] = Unit.auto,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Level of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of simulations and permutations.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...; vLLM takes its own.")] = "cpu",
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 ... [default: float32 on cpu]")] = None,
    backend: Annotated[Backend, typer.Option(help="What runs the model: transformers or vLLM.")] = Backend.hf,
    engine: Annotated[
        list[str] | None, typer.Option(help="vllm: an argument of the engine, e.g. max_model_len=4096; repeatable.")
    ] = None,
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code", help="Run code of the model.")] = False,
) -> None:
    """Ask a model every question of a probe under every scheme, and say how far the place decides."""
    from bapa.measure import measure
    from bapa.probe import Probe
    from bapa.report.terminal import table
    from bapa.stats import Settings

    probe = Probe.load(probe_folder)  # first: a mistyped folder must not wait for a model
    run = measure(
        backend.load(model, device=device, dtype=dtype, engine=engine, trust_remote_code=trust_remote_code),
        probe,
        scheme or None,
        folder,
        batch_size=batch_size,
        items=items,
        generate=generate,
        audit=audit,
        fail_on_error=_number(fail_on_error),
        statistics=Settings(level=level, seed=seed, cluster=cluster.value),
    )
    out.print(table(run))
    out.print(f"bapa report {escape(str(folder))}", style="dim", highlight=False)


def _number(text: str) -> int | float:
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        raise ConfigError(f"--fail-on-error {text}: a count (10) or a fraction below 1 (0.01) is accepted") from None


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders to show side by side.")],
    page: Annotated[
        Path | None, typer.Option("--out", help="The page [default: report.html in the first RUN].")
    ] = None,
    paper: Annotated[
        Path | None, typer.Option(help="Also write figures (SVG, PDF) and tables (CSV, LaTeX) here.")
    ] = None,
    noise_floor: Annotated[
        list[Path] | None,
        typer.Option(
            help="Run of the first RUN's model trained with another seed; repeatable. Its spread over seeds is shown."
        ),
    ] = None,
) -> None:
    """Write one self-contained HTML page over any number of runs, and heat maps as PNG and SVG beside it."""
    from bapa.report import write

    out.print(escape(str(write(runs, page, paper=paper, seeds=noise_floor or ()))), highlight=False)


@app.command()
def schemes(
    grid: Annotated[str | None, typer.Option(help="Distances of the rules on a grid of patches, e.g. 24x24.")] = None,
    picture: Annotated[Path | None, typer.Option(help="With --grid: draw them into this .png, .svg or .pdf.")] = None,
) -> None:
    """List the position schemes and their options, or what they do to a grid of patches."""
    from rich.table import Table

    from bapa.schemes import make, table

    if grid is None:
        shown = Table("scheme", "rule", "from", box=None, pad_edge=False, header_style="dim")
        for row in table():
            options = "".join(f"\n  {o.name}={o.default}" for o in row.options if o.name not in _COMMON)
            shown.add_row(f"[bold]{row.name}[/]{escape(options)}", escape(row.summary), escape(row.paper))
        out.print(shown)
        out.print(
            "\nWrite options as bapa:distance=native. Every scheme takes scope=image|tile|frame|global", style="dim"
        )
        out.print("and image_attention=native|bidirectional|ranked, the mask inside an image.", style="dim")
        return

    from bapa.layout import Grid
    from bapa.report import profiles

    rows, _, cols = grid.lower().partition("x")
    if not (rows.isdigit() and cols.isdigit() and int(rows) and int(cols)):
        raise ConfigError(f"--grid {grid!r}: rows x columns are accepted, e.g. --grid 24x24")
    lines = list(profiles.shown([make(row.name) for row in table()], Grid(int(rows), int(cols))))
    distances = Table("scheme", box=None, pad_edge=False, header_style="dim")
    for title in ("mean", "sd", "max", "PTD"):
        distances.add_column(title, justify="right")
    for line in lines:
        found = (line.profile.mean, line.profile.sd, line.profile.max, line.ptd)
        distances.add_row(line.scheme.label, *(f"{value:.3f}" for value in found))
    out.print(distances)
    out.print(f"\nDistance of the {grid} patches to the first text token, in positions.", style="dim")
    if picture:
        profiles.draw(lines).savefig(picture, dpi=200)
        out.print(escape(str(picture)), highlight=False)


@app.command()
def doctor(
    model: Annotated[str | None, typer.Argument(help="A model to look at: folder, hub id or reference:NAME.")] = None,
) -> None:
    """Show what is installed; with MODEL, whether it can be balanced and where its tokens go."""
    from rich.table import Table

    from bapa.cli.doctor import examine, installed

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in (*installed(), *(examine(model) if model else ())):
        table.add_row(f"[dim]{escape(name)}[/]", escape(value))
    out.print(table)


for verb in (origin, calibrate, tune, export, bench.bench, explore.explore):
    app.command()(verb)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(serve)
app.command(context_settings={"allow_interspersed_args": False})(run.run)
