"""A run in a process of its own, to be killed or to share the work; imported by name from a fork server."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from bapa.checkpoints import load
from bapa.measure.runner import measure
from bapa.probe import Probe
from bapa.stats import Settings

SCHEMES = ("native", "bapa")


def run(model: Path, probe: Path, out: Path, processes: tuple[int, int, int] | None = None) -> None:
    """Measure in small batches.

    ``processes``: number, index and port of a group of them, as ``accelerate launch`` announces it.
    """
    torch.set_num_threads(1)
    if processes:
        count, index, port = processes
        os.environ |= {"WORLD_SIZE": str(count), "RANK": str(index), "LOCAL_RANK": str(index)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    measure(load(str(model)), Probe.load(probe), SCHEMES, out, batch_size=2, audit=4, statistics=Settings(resamples=50))
