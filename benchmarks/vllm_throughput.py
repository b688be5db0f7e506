"""What a scheme costs in vLLM: answers per second of ``measure --backend vllm``, balanced against native.

    .venv-vllm/bin/python benchmarks/vllm_throughput.py
    .venv-vllm/bin/python benchmarks/vllm_throughput.py --model FOLDER --scheme bapa:distance=62

The environment is that of ``make test-vllm``; by default the shipped reference answers the digits probe. Two engines in
one process are asked the same blocks in turns, caches emptied before each; the median of the paired ratios counts.
Seconds on the clock depend on what else runs; processor seconds hardly do.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

# One process, so that its processor seconds are the engine's too.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")

import numpy as np
from vllm.v1.executor.uniproc_executor import UniProcExecutor

from bapa.inference.plan import plan
from bapa.inference.prompts import Prompts
from bapa.inference.vllm import EngineAsker
from bapa.integrations.vllm.loading import load_engine
from bapa.probe import Design, Probe, build


class InProcess(UniProcExecutor):
    """vLLM replaces its own by another process on a CPU."""


def askers(name: str, probe: Probe, schemes: list[str], items: int, batch_size: int) -> list[EngineAsker]:
    """One asker for each scheme, its engine running."""
    model = load_engine(
        name, dtype="float32", enforce_eager=True, max_model_len=1024, distributed_executor_backend=InProcess
    )
    prompts = Prompts(model.processor, (probe.height, probe.width))
    cut = plan(probe, prompts, items, batch_size)
    return [EngineAsker(model, prompts, probe, cut, [scheme], generate=0, audit=0) for scheme in schemes]


def turn(asker: EngineAsker, number: int) -> tuple[float, float]:
    """Seconds on the clock and of the processor that one block takes, from its canvases to its answers."""
    engine = asker.engine
    engine.reset_prefix_cache()
    engine.reset_mm_cache()
    clock, processor = time.perf_counter(), time.process_time()
    asker.ask(number, asker.prepare_block(number))
    return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="reference:bottom")
    parser.add_argument("--scheme", default="bapa")
    parser.add_argument("--items", type=int, default=48)
    parser.add_argument("--batch-size", type=int, default=18)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        probe = build("digits", Path(folder) / "probe", Design(items=options.items))
        native, balanced = askers(options.model, probe, ["native", options.scheme], options.items, options.batch_size)
        for asker in (native, balanced):  # starts the engine and warms it up
            turn(asker, 0)
        seconds = []
        for number in range(len(native)):
            pair = (native, balanced) if number % 2 else (balanced, native)
            found = {asker.labels[0]: turn(asker, number) for asker in pair}
            seconds.append([found["native"], found[options.scheme]])
        answers = native.plan.questions
        native.close()
        balanced.close()
    taken = np.array(seconds)  # (blocks, scheme, clock or processor)
    ratios = taken[:, 0] / taken[:, 1]
    draws = np.random.default_rng(0).integers(0, len(ratios), (2000, len(ratios)))
    low, high = np.quantile(np.median(ratios[draws], 1), [0.025, 0.975], axis=0)
    for i, kind in enumerate(("clock", "processor")):
        rate = answers / taken[:, :, i].sum(0)
        print(
            f"{kind:9} native {rate[0]:8.1f} answers/s   {options.scheme} {rate[1]:8.1f} answers/s   "
            f"ratio {np.median(ratios[:, i]):.3f} [{low[i]:.3f}, {high[i]:.3f}] over {len(ratios)} blocks"
        )


if __name__ == "__main__":
    main()
