"""``bapa serve``."""

from __future__ import annotations

from typing import Annotated

import typer


def serve(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A folder, a hub id, or reference:NAME.")],
    scheme: Annotated[
        str | None, typer.Option(help="Scheme, e.g. bapa:distance=62 [default: as the model's config says].")
    ] = None,
) -> None:
    """Start vLLM's OpenAI-compatible server under a scheme. Further options go to vllm serve."""
    from bapa.integrations.vllm import server

    server.serve(model, scheme, context.args)
