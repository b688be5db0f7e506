"""The command line: its verbs in the order in which a person meets them, from a first look to what to do about it."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer
from rich.markup import escape
from typer.core import TyperGroup

from bapa import __version__
from bapa.cli.bench import bench
from bapa.cli.calibrate import calibrate
from bapa.cli.check import check
from bapa.cli.console import err
from bapa.cli.demo import demo
from bapa.cli.doctor import doctor
from bapa.cli.explore import explore
from bapa.cli.export import export
from bapa.cli.fit import fit
from bapa.cli.measure import measure
from bapa.cli.origin import origin
from bapa.cli.probe import probe
from bapa.cli.report import report
from bapa.cli.run import run
from bapa.cli.schemes import schemes
from bapa.cli.serve import serve
from bapa.cli.tune import tune
from bapa.errors import BapaError
from bapa.files import command, disk_is_full


class Commands(TyperGroup):
    """Commands whose errors for users are one line on stderr and exit code 2."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer's Context is click's
        return list(self.commands)

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer's Context is click's
        try:
            return super().invoke(ctx)
        except BapaError as error:
            if ctx.params["debug"]:
                raise
            _say(str(error))
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            _say(f"stopped; nothing finished is lost. To go on, type the same again: {command()}")
            raise typer.Exit(130) from None
        except Exception as error:
            if ctx.params["debug"] or not (told := _lacking(error)):
                raise
            _say(f"{told} and type the same again: {command()}")
            raise typer.Exit(2) from None


def _lacking(error: Exception) -> str:
    """What the machine has too little of, and what to do; nothing where the error is another."""
    if disk_is_full(error):
        return "the disk is full; nothing finished is lost. Make room"
    if "torch" in sys.modules:
        from bapa.inference.block import out_of_memory

        if out_of_memory(error):
            return (
                "the memory is too small for this; nothing finished is lost. Make room, or take a narrower type "
                "(--dtype bf16), smaller pictures or batches, or another --device,"
            )
    return ""


def _say(text: str) -> None:
    err.print(f"[bold red]bapa:[/] {escape(' '.join(text.split()))}", soft_wrap=True, highlight=False)


app = typer.Typer(
    cls=Commands,
    help="Spatial bias in vision-language models: measure it, explain it, balance it. Start with: bapa check MODEL",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line. A character that the console cannot show is replaced; the result is more than its looks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Options that stand before the command."""


for verb in (check, demo, probe, measure, report, origin, calibrate, fit, tune, export, bench):
    app.command()(verb)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(serve)
app.command(context_settings={"allow_interspersed_args": False})(run)
app.command()(explore)
app.command()(schemes)
app.command()(doctor)
