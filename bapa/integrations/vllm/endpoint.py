"""What an OpenAI-compatible server of a balanced model adds: a check before it answers, and a route that says the
scheme.

The entry point ``vllm.endpoint_plugins``; vLLM loads it where ``VLLM_PLUGINS`` names it, as ``bapa serve`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bapa.attach import record
from bapa.integrations.vllm.engine import verify
from bapa.integrations.vllm.guard import Guard
from bapa.integrations.vllm.rules import Rules, admit
from bapa.schemes import NATIVE

if TYPE_CHECKING:
    from fastapi import FastAPI


class Endpoint:
    """Compares the workers' scheme with the config's when the server starts, and tells it under ``/bapa``."""

    name = "bapa"
    required_tasks = ("generate",)

    def __init__(self) -> None:
        self.scheme: str | None = None
        self.rules = False

    def attach_router(self, app: FastAPI) -> None:
        """``GET /bapa``: the scheme that this server's model runs under, and whether a request may name another. A rule
        named on a route that would drop it is refused.
        """
        app.add_middleware(Guard)
        app.add_api_route("/bapa", lambda: {"scheme": self.scheme, "rules": self.rules}, methods=["GET"])

    async def init_state(self, engine_client: Any, state: Any, args: Any) -> None:
        """Have requests name their rule where a balanced class runs (``vllm_xargs``), and refuse rules elsewhere.

        Raises NotBalancedError, so that the server does not start, where a worker runs another scheme.
        """
        model = engine_client.model_config
        scheme = record.read(model.hf_config) or NATIVE
        verify(await engine_client.collective_rpc("bapa_scheme"), scheme)
        taken = all(await engine_client.collective_rpc("bapa_rules"))
        admit(engine_client.input_processor, Rules(model.hf_config, scheme, model.max_model_len) if taken else None)
        self.scheme, self.rules = str(scheme), taken
