"""`python -m studies.reference train`: the recipe as a command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bapa.errors import BapaError, ConfigError
from studies.reference.recipe import BASES, BEHIND, SEVERAL, SKEWS, TASKS, Recipe, behind

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The small reference LVLM that ships with bapa.")


@app.callback()
def main() -> None:
    """The small reference LVLM that ships with bapa."""


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Model folder to write.")],
    skew: Annotated[
        str | None,
        typer.Option(
            help=f"Cells the training asks about: {', '.join(SKEWS)} (default: bottom); of several pictures, which: "
            f"{', '.join(BASES)} (default: last)."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, scenes and questions.")] = 1,
    scheme: Annotated[
        str, typer.Option(help="Position rule of the visual stage, e.g. native, bapa, bapa:distance=native.")
    ] = "native",
    encoder_skew: Annotated[
        str, typer.Option(help="Cells whose patches the encoder learns to read; the counter-example has bottom.")
    ] = "uniform",
    tasks: Annotated[
        str,
        typer.Option(
            help="What it learns: match, places (rows, order and numbers too), images (two to eight pictures of one "
            "prompt), which (two to four, and which of them shows what), clip (two to eight stills of one) or point "
            "(to write the box of what is asked for)."
        ),
    ] = "match",
    work: Annotated[
        Path | None, typer.Option(help="Where finished stages are kept; share it between skews. Default: OUT.stages.")
    ] = None,
) -> None:
    """Train a reference model (ten minutes on two cores, half a minute for images and clip, four for which, fifteen for
    point); the same command resumes.
    """
    from bapa import schemes
    from studies.reference.train import train as run

    try:
        if tasks not in TASKS:
            raise ConfigError(f"unknown tasks {tasks!r}: accepted are {', '.join(TASKS)}")
        short = tasks in BEHIND
        skew = skew or ("uniform" if tasks == "point" else "last" if short else "bottom")
        asked = BASES if tasks in SEVERAL else SKEWS
        for name, accepted in ((skew, asked), (encoder_skew, SKEWS)):
            if name not in accepted:
                raise ConfigError(f"unknown skew {name!r}: accepted are {', '.join(accepted)}")
        if short and encoder_skew != "uniform":
            raise ConfigError(f"--encoder-skew: {tasks} goes on from a shipped model, whose encoder is done; drop it")
        rule = schemes.parse(scheme)
        if short and not rule.positions_only:
            raise ConfigError(f"--scheme {rule.label}: {tasks} trains under rules of positions only, e.g. bapa")
        recipe = (
            behind(tasks, skew, seed, rule.label)
            if short
            else Recipe(skew=skew, seed=seed, scheme=rule.label, encoder_skew=encoder_skew, tasks=tasks)
        )
        typer.echo(run(recipe, out, work))
    except BapaError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


@app.command()
def data(
    out: Annotated[Path, typer.Option(help="Folder to write: data.jsonl and pictures, as LLaVA's data is laid out.")],
    skew: Annotated[str, typer.Option(help=f"Cells asked about: {', '.join(SKEWS)}.")] = "center",
    rows: Annotated[int, typer.Option(min=1, help="Number of pictures, with one question each.")] = 2400,
    seed: Annotated[int, typer.Option(help="Seed of scenes and questions.")] = 1,
    tasks: Annotated[str, typer.Option(help="What is asked: match, or places (rows, order, numbers too).")] = "match",
) -> None:
    """Write training data of the recipe's last stage as files, for `bapa tune`."""
    from studies.reference.dataset import write

    try:
        if skew not in SKEWS:
            raise ConfigError(f"unknown skew {skew!r}: accepted are {', '.join(SKEWS)}")
        if tasks not in (written := [name for name in TASKS if name not in BEHIND]):
            raise ConfigError(f"unknown tasks {tasks!r}: accepted are {', '.join(written)}")
        typer.echo(write(out, skew=skew, rows=rows, seed=seed, tasks=tasks))
    except BapaError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    app()
