"""``bapa doctor``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from bapa.cli import options as common
from bapa.cli.console import err, out
from bapa.errors import ConfigError


def doctor(
    model: Annotated[str | None, typer.Argument(help="A model to look at: folder, hub id or reference:NAME.")] = None,
    server: Annotated[
        str | None, typer.Option(help="Address of an OpenAI-compatible server to put to the test instead.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Model that the server serves: transformers is asked the same. Decides more.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--model", help="Name to ask the server for.", show_default="the first it lists")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Length of an answer; models that think need some hundreds.")] = 16,
    sets: Annotated[int, typer.Option(min=1, help="Sets of digits to ask about, 30 questions each.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the pictures.")] = 0,
    extra: Annotated[str, typer.Option(help="JSON: further fields of every request.")] = "{}",
    at_once: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 4,
    every: Annotated[
        bool, typer.Option("--all", help="Read configs alone: of MODEL, a folder of them, or much used hub models.")
    ] = False,
    verify: Annotated[
        Path | None, typer.Option(help="Load weights, check them, and write a dated record of each into this folder.")
    ] = None,
    memory: Annotated[float | None, typer.Option(min=0, help="With --verify: most GiB of weights to load.")] = None,
    device: common.Device = common.DEVICE,
    dtype: common.Dtype = None,
    more: common.Load = None,
    trust_remote_code: common.TrustRemoteCode = False,
) -> None:
    """Show what is installed; with MODEL, whether it can be balanced; with --server, whether it uses its positions.

    A server wants a key? Set OPENAI_API_KEY. Exit code 1: its positions are wrong.
    """
    if memory is not None and verify is None:
        raise ConfigError("--memory goes with --verify FOLDER")
    loading = {
        "device": device,
        "dtype": dtype,
        "trust_remote_code": trust_remote_code,
        "options": common.loading(more),
    }
    if server is None:
        if against or name:
            raise ConfigError("--against and --model go with --server URL; to look at a model: bapa doctor MODEL")
        if every or verify:
            _configs([model] if model else None, verify, memory, loading)
            return
        _models(model, loading)
        return
    if every or verify:
        raise ConfigError("--all and --verify look at models, not at a server; leave --server out")
    if model is not None:
        raise ConfigError(f"{model} and --server: name the served model with --against {model}")
    from bapa.doctor.client import Client
    from bapa.doctor.questions import draw
    from bapa.doctor.server import examine_server
    from bapa.report.server import rows

    client = Client(server, name, tokens, _object(extra), os.environ.get("OPENAI_API_KEY"))
    client.name()  # a server that is not there is told before a model is loaded
    sheet = draw(sets, seed)
    local = None
    if against:
        from bapa.doctor.local import Local

        local = Local(against, sheet, **loading)
    with err.status("looking") as status:
        found = examine_server(client, sheet, local, at_once=at_once, note=lambda text: status.update(escape(text)))
    _show(rows(found))
    if found.verdict.kind not in ("in use", "cannot be told"):
        raise typer.Exit(1)


def _object(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise ConfigError(f"""--extra {text}: not a JSON object; write it like '{{"add_special_tokens": true}}'""")
    return read


def _models(model: str | None, loading: Mapping[str, Any]) -> None:
    from bapa.checkpoints.examine import examine, installed

    _show((*installed(), *(examine(model, **loading) if model else ())))


def _configs(names: list[str] | None, verify: Path | None, memory: float | None, loading: Mapping[str, Any]) -> None:
    from bapa.checkpoints import catalog
    from bapa.report.catalog import cells, heads

    if verify:
        from bapa.checkpoints.verify import verify as check

        failed = False
        for name, outcome in check(names or catalog.MUCH_USED, verify, memory, loading):
            out.print(f"{name}: {outcome}", markup=False, soft_wrap=True)
            failed |= outcome.startswith("FAILED")
        if failed:
            raise typer.Exit(1)
        return
    from rich.table import Table

    found = list(catalog.places(names or catalog.MUCH_USED))
    table = Table(*heads(), box=None, pad_edge=False, header_style="dim")
    with err.status("reading configs"):
        for name, place in found:
            table.add_row(*map(escape, cells(catalog.read(name, place))))
    out.print(table)


def _show(rows: Iterable[tuple[str, str]]) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows:
        table.add_row(f"[dim]{escape(name)}[/]", escape(value))
    out.print(table)
