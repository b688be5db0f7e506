"""What mixing rules in one vLLM engine costs: requests per second, four rules in each batch against one.

    .venv-vllm/bin/python benchmarks/vllm_rules.py

The environment is that of ``make test-vllm``. One engine with a rule per request gets the same requests twice in
turns: all under ``bapa``, and dealt to four rules. Caches are emptied before each turn; the median of the paired ratios
counts. Seconds on the clock depend on what else runs; processor seconds hardly do.
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
from PIL import Image
from transformers import AutoProcessor
from vllm import LLM, SamplingParams
from vllm.v1.executor.uniproc_executor import UniProcExecutor

from bapa.inference.prompts import Prompts
from bapa.integrations.vllm import engine as engines
from bapa.probe import Design, build

RULES = ("native", "bapa", "bapa:distance=62", "reverse")


class InProcess(UniProcExecutor):
    """vLLM replaces its own by another process on a CPU."""


def turn(engine: LLM, requests: list, rules: list[str], tokens: int) -> tuple[float, float]:
    """Seconds on the clock and of the processor that all requests take, request i under rule i."""
    engine.reset_prefix_cache()
    engine.reset_mm_cache()
    wanted = [
        SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, extra_args={"bapa": rule}) for rule in rules
    ]
    clock, processor = time.perf_counter(), time.process_time()
    engine.generate(requests, wanted, use_tqdm=False)
    return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="reference:bottom")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=20)
    options = parser.parse_args()
    folder = engines.folder_of(options.model)
    with tempfile.TemporaryDirectory() as work:
        probe = build("digits", Path(work) / "probe", Design(items=8))
        prompts = Prompts(AutoProcessor.from_pretrained(folder), (probe.height, probe.width))
        canvases = [(item, cell) for item in probe.items for cell in range(probe.cells)][: options.requests]
        requests = [
            {
                "prompt_token_ids": prompts.unexpanded(probe.questions(item, cell)[0].text),
                "multi_modal_data": {"image": Image.fromarray(probe.compose(item, cell))},
            }
            for item, cell in canvases
        ]
    given = {"dtype": "float32", "enforce_eager": True, "max_model_len": 512, "max_num_seqs": 64}
    engine = engines.start(folder, "native", {**given, "distributed_executor_backend": InProcess}, rules=True)
    one = ["bapa"] * len(requests)
    mixed = [RULES[i % len(RULES)] for i in range(len(requests))]
    for rules in (one, mixed):  # warms it up
        turn(engine, requests, rules, options.tokens)
    seconds = []
    for number in range(options.pairs):
        order = (one, mixed) if number % 2 else (mixed, one)
        found = {id(rules): turn(engine, requests, rules, options.tokens) for rules in order}
        seconds.append([found[id(one)], found[id(mixed)]])
    engines.stop(engine)
    taken = np.array(seconds)  # (pairs, one or mixed, clock or processor)
    ratios = taken[:, 0] / taken[:, 1]
    draws = np.random.default_rng(0).integers(0, len(ratios), (2000, len(ratios)))
    low, high = np.quantile(np.median(ratios[draws], 1), [0.025, 0.975], axis=0)
    for i, kind in enumerate(("clock", "processor")):
        rate = len(requests) / np.median(taken[:, :, i], 0)
        print(
            f"{kind:9} one rule {rate[0]:7.1f} requests/s   {len(RULES)} rules {rate[1]:7.1f} requests/s   "
            f"ratio {np.median(ratios[:, i]):.3f} [{low[i]:.3f}, {high[i]:.3f}] over {len(ratios)} pairs"
        )


if __name__ == "__main__":
    main()
