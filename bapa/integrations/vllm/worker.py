"""What an engine's worker says about the model it runs; vLLM mixes it into its worker (``worker_extension_cls``)."""

from __future__ import annotations

from typing import Any

NAME = f"{__name__}.Witness"


class Witness:
    """Methods for ``collective_rpc``."""

    def bapa_scheme(self) -> str | None:
        """The scheme under which this worker's model computes positions; None where vLLM's own class runs."""
        from bapa.integrations.vllm.model import Balanced

        worker: Any = self
        model = worker.get_model()
        return str(model.bapa.scheme) if isinstance(model, Balanced) else None
