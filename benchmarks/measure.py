"""Measuring against a bare loop and against the usual way, on the same model, probe and machine.

    python benchmarks/measure.py                         # the shipped reference, the digits probe
    python benchmarks/measure.py --model FOLDER --probe PROBE

All ways take turns in one process, and the median over the turns counts. Seconds on the clock depend on what else runs;
processor seconds, over all threads, hardly do. Measuring is timed whole: planning, composing, asking, storing, sealing;
only its statistics are timed apart, since they cost the same for every model.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

import bapa
from bapa.measure import measure, runner
from bapa.measure.prompts import Prompts
from bapa.measure.statistics import bias
from bapa.models import Loaded, load
from bapa.probe import Design, Probe, build

SCHEMES = ("native", "bapa")


def bare(model: Loaded, batches: list[dict[str, Any]]) -> int:
    """``model(**batch)`` and nothing else, for every scheme. Returns the number of answers."""
    answers = 0
    for scheme in SCHEMES:
        with bapa.balanced(model.model, scheme), torch.inference_mode():
            for batch in batches:
                answers += len(model.model(**batch, logits_to_keep=1).logits)
    return answers


def prepared(model: Loaded, probe: Probe, items: int) -> list[dict[str, Any]]:
    """Every question about every canvas as one row, in the processor's own batches, pictures included."""
    prompts = Prompts(model.processor, (probe.height, probe.width))
    batches = []
    for item in probe.items[:items]:
        canvases = [probe.compose(item, cell) for cell in range(probe.cells)]
        batches += [prompts.inputs(canvases, question.text) for question in probe.questions(item, 0)]
    return batches


def usual(model: Loaded, probe: Probe, items: int) -> int:
    """One question at a time, up to 128 tokens written, every scheme from the start. Returns the number of answers."""
    prompts, texts = Prompts(model.processor, (probe.height, probe.width)), []
    for scheme in SCHEMES:
        with bapa.balanced(model.model, scheme), torch.inference_mode():
            for item in probe.items[:items]:
                for cell in range(probe.cells):
                    for question in probe.questions(item, cell):
                        inputs = prompts.inputs([probe.compose(item, cell)], question.text)
                        written = model.model.generate(**inputs, max_new_tokens=128, do_sample=False)
                        texts.append(model.processor.decode(written[0, inputs["input_ids"].shape[1] :]))
    return len(texts)


def ours(model: Loaded, probe: Probe, items: int) -> int:
    """The same answers by ``measure``, audit and statistics aside. Returns their number."""
    with tempfile.TemporaryDirectory() as folder, patch.object(runner, "bias", lambda *_, **__: {"schemes": {}}):
        return measure(model, probe, SCHEMES, Path(folder) / "run", items=items, audit=0).config["answers"]


def rates(way: Callable[[], int]) -> tuple[float, float]:
    """Answers per second on the clock, and per processor second."""
    clock, processor = time.perf_counter(), time.process_time()
    answers = way()
    return answers / (time.perf_counter() - clock), answers / (time.process_time() - processor)


def peak(model: str, probe: Path, items: int) -> float:
    """Peak memory of a process that measures ``items`` items, in MB."""
    context = multiprocessing.get_context("spawn")
    pool = context.Pool(1)
    found = pool.apply(_peak, (model, probe, items))
    pool.close()
    pool.join()
    return found


def _peak(model: str, probe: Path, items: int) -> float:
    ours(load(model), Probe.load(probe), items)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(model: Loaded, probe: Probe, items: int, rounds: int) -> None:
    """The three ways in turns."""
    batches = prepared(model, probe, items)
    ways: dict[str, Callable[[], int]] = {
        "measure": lambda: ours(model, probe, items),
        "bare loop of model(**batch)": lambda: bare(model, batches),
        "usual way": lambda: usual(model, probe, max(1, items // 8)),
    }
    turns = [[rates(way) for way in ways.values()] for _ in range(rounds + 1)][1:]  # the first turn warms up
    clock, processor = np.median(turns, 0).T
    titles = ("answers/s", "measure is", "answers/processor s", "measure is")
    print(f"{f'with {torch.get_num_threads()} threads':28}" + "".join(f"{title:>22}" for title in titles))
    for name, a, b in zip(ways, clock, processor, strict=True):
        print(f"{name:28}{a:22.1f}{clock[0] / a:20.2f} x{b:22.1f}{processor[0] / b:20.2f} x")


def time_statistics(model: Loaded, probe: Probe, items: int) -> None:
    """The statistics of a run with as many items as 240, its answers repeated."""
    with tempfile.TemporaryDirectory() as folder:
        run = measure(model, probe, (*SCHEMES, "bapa:distance=native"), Path(folder) / "run", items=items, audit=0)
        answers = run.answers()
    answers = pd.concat([answers.assign(item=answers["item"] + 1000 * copy) for copy in range(-(-240 // items))])
    start = time.process_time()
    bias(answers, rows=probe.rows, cols=probe.cols)
    print(f"statistics of {len(answers)} answers: {time.process_time() - start:.1f} processor seconds")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="reference")
    parser.add_argument("--probe", type=Path, help="folder of a probe (default: digits)")
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5, help="turns taken")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        probe = Probe.load(options.probe) if options.probe else build("digits", Path(folder) / "p", Design(items=240))
        model = load(options.model)
        compare(model, probe, options.items, options.rounds)
        time_statistics(model, probe, options.items)
        for items in (24, 240):
            print(f"peak memory at {items:3} items: {peak(options.model, probe.path, items):.0f} MB")


if __name__ == "__main__":
    main()
