"""Options that several verbs take, and how their texts are read.

A default in words stands in ``show_default``, never in brackets in the help text: those are read as markup.
"""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bapa.cli.console import err
from bapa.errors import ConfigError

if TYPE_CHECKING:
    from bapa.checkpoints import Loaded
    from bapa.checkpoints.chat import Chat
    from bapa.checkpoints.options import LoadOptions


class Switch(str, Enum):
    """What ``--thinking`` accepts."""

    on = "on"
    off = "off"


class Unit(str, Enum):
    """What ``--cluster`` accepts."""

    auto = "auto"
    item = "item"
    picture = "picture"
    caption = "caption"
    group = "group"


DEVICE = "auto"  # where nothing else is said
Model = Annotated[str, typer.Argument(help="A folder, a hub id, or reference:NAME.")]
ProbeFolder = Annotated[Path, typer.Option("--probe", help="Folder of the probe.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Canvases per forward.")]
Resamples = Annotated[int, typer.Option(min=10, help="Bootstrap draws, where something is resampled.")]
Cluster = Annotated[
    Unit,
    typer.Option(help="What counts as one observation; auto: what items share, where that repeats, else the item."),
]
Level = Annotated[float, typer.Option(min=0.5, max=0.999, help="Level of the intervals.")]
Unused = Annotated[int | None, typer.Option(hidden=True, help="Of older versions; nothing is drawn now.")]
Seed = Annotated[int, typer.Option(help="Seed of simulations and permutations.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps; vLLM takes its own.")]
Dtype = Annotated[
    str | None,
    typer.Option(
        help="float32, bf16, fp16, or auto: the checkpoint's own.",
        show_default="float32 on cpu, large models bf16 on cuda",
    ),
]
TrustRemoteCode = Annotated[bool, typer.Option("--trust-remote-code", help="Run code of the model.")]

System = Annotated[str | None, typer.Option("--system", help="System prompt.")]
Thinking = Annotated[
    Switch | None, typer.Option(help="Whether a model that can think does so first.", show_default="its template's")
]
Opening = Annotated[str, typer.Option(help="What the model's turn begins with, before its answer; \\n is a newline.")]
Load = Annotated[
    list[str] | None,
    typer.Option(
        "--load",
        help="attention=eager, revision=NAME, min_pixels=N, max_pixels=N, quantization=4bit or 8bit, device_map=auto; "
        "repeatable.",
    ),
]


def unused(**given: int | None) -> None:
    """Say of options of :data:`Unused` that were given that they change nothing, so that older commands still run."""
    for name, value in given.items():
        if value is not None:
            err.print(f"bapa: --{name} is not used any more: intervals need no bootstrap draws", soft_wrap=True)


def chat(system: str | None, thinking: Switch | None, opening: str = "") -> Chat:
    """How a model is to be addressed, from what was typed."""
    from bapa.checkpoints.chat import Chat

    return Chat(system or None, None if thinking is None else thinking is Switch.on, opening.replace("\\n", "\n"))


def loading(given: list[str] | None) -> LoadOptions:
    """What else of loading is to differ, from what was typed."""
    from bapa.checkpoints.options import LoadOptions

    return LoadOptions.read(dict(assignment("--load", text, "attention=eager") for text in given or ()))


def load(
    name: str,
    device: str,
    dtype: str | None,
    trust_remote_code: bool,
    system: str | None = None,
    thinking: Switch | None = None,
    opening: str = "",
    more: list[str] | None = None,
) -> Loaded:
    """The model that the options of a verb name, loaded as they say."""
    from bapa.checkpoints import load as run

    return run(
        name,
        device=device,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        chat=chat(system, thinking, opening),
        options=loading(more),
    )


def assignment(option: str, text: str, example: str) -> tuple[str, Any]:
    """``NAME=VALUE`` as name and value: a number, true, false, null or a list where it reads as one, else text.

    Raises ConfigError where there is no name.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ConfigError(f"{option} {text}: write NAME=VALUE, for instance {option} {example}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
