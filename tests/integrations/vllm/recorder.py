"""What the rotary embedding of a running vLLM worker gets, told by the worker itself."""

from __future__ import annotations

from typing import Any

import torch

from bapa.integrations.vllm.worker import Witness

NAME = f"{__name__}.Recorder"


class Recorder(Witness):
    """A worker extension that writes down, for every request and token, the position the language model turns by."""

    def record(self) -> int:
        """Start anew. Returns how many rotary embeddings are watched."""
        worker: Any = self
        runner = worker.model_runner
        self.seen: dict[str, dict[int, list[int]]] = {}
        self.steps: list[list[int]] = []  # tokens of each request, by forward
        for handle in getattr(self, "handles", ()):
            handle.remove()

        def note(module: Any, args: Any, kwargs: Any) -> None:
            positions = kwargs["positions"] if "positions" in kwargs else args[0]
            batch, starts = runner.input_batch, runner.query_start_loc.np
            for i, request in enumerate(batch.req_ids):
                first = int(batch.num_computed_tokens_cpu[i])
                taken = torch.atleast_2d(positions)[:, starts[i] : starts[i + 1]].T.tolist()
                self.seen.setdefault(request, {}).update({first + j: axes for j, axes in enumerate(taken)})

        def step(module: Any, args: Any) -> None:
            batch, starts = runner.input_batch, runner.query_start_loc.np
            self.steps.append([int(starts[i + 1] - starts[i]) for i in range(batch.num_reqs)])

        named = dict(worker.get_model().get_language_model().named_modules())
        rotary = {id(m): m for name, m in named.items() if "rotary" in name}
        self.handles = [m.register_forward_pre_hook(note, with_kwargs=True) for m in rotary.values()]
        self.handles.append(worker.get_model().register_forward_pre_hook(step))
        return len(rotary)

    def recorded(self) -> tuple[dict[str, list[list[int]]], list[list[int]]]:
        """For each request the axes of its tokens from the first computed one on; the tokens of each step."""
        return {request: [at[i] for i in sorted(at)] for request, at in self.seen.items()}, self.steps
