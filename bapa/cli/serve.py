"""``bapa serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from bapa.cli.options import Model


def serve(
    context: typer.Context,
    model: Model,
    scheme: Annotated[
        str | None, typer.Option(help="Scheme, e.g. bapa:distance=62.", show_default="as the model's config says")
    ] = None,
    rules: Annotated[
        bool,
        typer.Option(
            "--rules", help="Let requests name a scheme where the model runs natively; under a scheme they always may."
        ),
    ] = False,
) -> None:
    """Start vLLM's OpenAI-compatible server under a scheme. Further options go to vllm serve."""
    from bapa.integrations.vllm import server

    server.serve(model, scheme, context.args, rules=rules)
