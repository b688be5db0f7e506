"""What an engine's worker says about the model it runs; vLLM mixes it into its worker (``worker_extension_cls``)."""

from __future__ import annotations

from typing import Any

from bapa.errors import IntegrationError
from bapa.integrations.vllm.rules import named

NAME = f"{__name__}.Witness"


class Witness:
    """Methods for ``collective_rpc``."""

    def bapa_scheme(self) -> str | None:
        """The scheme under which this worker's model computes positions; None where vLLM's own class runs."""
        from bapa.integrations.vllm.model import Balanced

        worker: Any = self
        model = worker.get_model()
        return str(model.bapa.scheme) if isinstance(model, Balanced) else None

    def bapa_rules(self) -> bool:
        """Have every request run under the rule it names. Returns False where vLLM's own class runs.

        Raises IntegrationError where this vLLM's runner makes positions in another way.
        """
        from bapa.integrations.vllm.model import Balanced

        worker: Any = self
        model, runner = worker.get_model(), worker.model_runner
        if not isinstance(model, Balanced):
            return False
        own = getattr(runner, "_init_mrope_positions", None)
        if own is None:
            raise IntegrationError(f"{type(runner).__name__} has no _init_mrope_positions; rules per request need it")
        rules = model.bapa

        def under_its_rule(state: Any) -> None:
            with rules.under(named(state.sampling_params)):
                own(state)

        runner._init_mrope_positions = under_its_rule
        return True
