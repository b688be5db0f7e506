"""What further threads bring a model on the CPU, by its size, on a quiet machine and beside other work.

    python benchmarks/threads.py                   # quiet, then beside one busy process for each core
    python benchmarks/threads.py --sizes 1 20 --rounds 3

One forward of 18 prompts of 80 tokens, as ``bapa measure`` asks them: seconds on the clock and of the processor, with
one thread and with as many as there are cores, in turn; medians over rounds. ``bapa.checkpoints.device.FEW`` is the
size below which a command takes one thread.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

WIDTHS = {1: 128, 5: 256, 20: 512, 60: 896, 110: 1152}  # millions of parameters in eight layers, by their width
BUSY = "while True: sum(range(10000))"


def model(width: int) -> LlamaForCausalLM:
    """A decoder of eight layers and few words, with random weights."""
    torch.manual_seed(0)
    words = {"vocab_size": 512, "hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 8}
    return LlamaForCausalLM(LlamaConfig(**words, num_attention_heads=8)).eval()


@contextmanager
def beside(processes: int) -> Iterator[None]:
    """So many processes that only compute."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


@torch.inference_mode()
def seconds(network: LlamaForCausalLM, threads: int, least: float = 0.5) -> tuple[float, float]:
    """Seconds of a forward on the clock and of the processor, over at least ``least`` seconds."""
    torch.set_num_threads(threads)
    tokens = torch.randint(512, (18, 80))
    network(tokens)
    clock, processor, turns = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - clock < least:
        network(tokens)
        turns += 1
    return (time.perf_counter() - clock) / turns, (time.process_time() - processor) / turns


def main() -> None:
    """Print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(WIDTHS), choices=list(WIDTHS))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    for name, busy in (("quiet", 0), (f"beside {cores} busy processes", cores)):
        with beside(busy):
            for size in options.sizes:
                network = model(WIDTHS[size])
                count = sum(p.numel() for p in network.parameters()) / 1e6
                found = np.array([[seconds(network, n) for n in (1, cores)] for _ in range(options.rounds)])
                (clock, used), (clocks, more) = np.median(found, 0)
                print(
                    f"{name}, {count:.0f} M: 1 thread {clock:.3f} s (processor {used:.3f}), "
                    f"{cores} threads {clocks:.3f} s ({more:.3f}), ratio {clocks / clock:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
