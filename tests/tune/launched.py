"""``python -m tests.tune.launched tune ...``: bapa as it is started in tests of processes.

accelerate turns to FSDP for processes on accelerators only; here those on CPUs count as well, and the classes of the
modules that are sharded go to stderr. What follows (torch's ``fully_shard``, its collectives over gloo, gathering,
saving) is as everywhere. With KILL_AT=N in the environment the process is killed (SIGKILL) behind the checkpoint of
step N.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import torch.distributed.fsdp
from accelerate import state
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

from bapa.cli.app import main
from bapa.tune.evaluate import Marker


def shard_over_cpus() -> None:
    plain, shard = state.AcceleratorState.__init__, torch.distributed.fsdp.fully_shard

    def init(
        self: state.AcceleratorState, *args: Any, fsdp_plugin: FullyShardedDataParallelPlugin | None = None, **more: Any
    ) -> None:
        plain(self, *args, fsdp_plugin=fsdp_plugin, **more)
        if self.distributed_type == DistributedType.MULTI_CPU and fsdp_plugin is not None:
            self.distributed_type = DistributedType.FSDP
            self.fsdp_plugin = fsdp_plugin
            state.PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    def told(module: Any, **options: Any) -> Any:
        for part in module if isinstance(module, list) else [module]:
            print(f"sharded: {type(part).__name__}", file=sys.stderr)
        return shard(module, **options)

    state.AcceleratorState.__init__ = init
    torch.distributed.fsdp.fully_shard = told


def die_behind(step: int) -> None:
    saved = Marker.on_save

    def on_save(self: Marker, args: Any, state: Any, control: Any, **more: Any) -> None:
        saved(self, args, state, control, **more)
        if state.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    Marker.on_save = on_save  # type: ignore[method-assign]


if __name__ == "__main__":
    shard_over_cpus()
    if "KILL_AT" in os.environ:
        die_behind(int(os.environ["KILL_AT"]))
    main()
