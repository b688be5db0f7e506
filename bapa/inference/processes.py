"""One process, or several that ``accelerate launch`` started."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch

T = TypeVar("T")


def joined(**options: Any) -> Any:
    """accelerate's ``PartialState(**options)``: this process among those launched, which leaves them as it ends.

    One that ends without leaving can be aborted: a thread of gloo may still run (1 to 5 of 16 on a busy machine).
    """
    from accelerate import PartialState

    state = PartialState(**options)
    atexit.register(state.destroy_process_group)
    return state


class Processes:
    """The processes that share a run: ``count`` of them, this one being the ``index``-th.

    ``model`` goes to this process's own accelerator where it is on one. None: it lives in a process of its own.
    """

    def __init__(self, model: Any | None) -> None:
        parameter = torch.empty(0) if model is None else next(model.parameters())
        self.count, self.index, self._state = 1, 0, None
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # set by accelerate launch and torchrun
            self._state = joined(cpu=parameter.device.type == "cpu")
            self.count, self.index = self._state.num_processes, self._state.process_index
            if model is not None and parameter.device.type != "cpu":
                model.to(self._state.device)

    @property
    def main(self) -> bool:
        """Whether this process writes the result."""
        return self.index == 0

    def wait(self) -> None:
        """Until all are here."""
        if self._state is not None:
            self._state.wait_for_everyone()

    def first(self, action: Callable[[], T]) -> T:
        """The result of ``action``, done by the main process only. Where it raises, all processes end."""
        if self._state is None:
            return action()
        results: list[Any] = [action() if self.main else None]
        torch.distributed.broadcast_object_list(results)
        return results[0]
