"""``python -m tests.tune.sharded tune ...``: bapa, where accelerate shards over CPU processes too.

accelerate turns to FSDP for processes on accelerators only; for those on CPUs it leaves it out without a word. Here
they count as well. What follows (torch's ``fully_shard`` and its collectives over gloo, gathering, saving) is as
everywhere.
"""

from __future__ import annotations

from typing import Any

from accelerate import state
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

from bapa.cli import main


def shard_over_cpus() -> None:
    plain = state.AcceleratorState.__init__

    def init(
        self: state.AcceleratorState, *args: Any, fsdp_plugin: FullyShardedDataParallelPlugin | None = None, **kwargs: Any
    ) -> None:
        plain(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU and fsdp_plugin is not None:
            self.distributed_type = DistributedType.FSDP
            self.fsdp_plugin = fsdp_plugin
            state.PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    state.AcceleratorState.__init__ = init  # type: ignore[method-assign]


if __name__ == "__main__":
    shard_over_cpus()
    main()
