"""Measuring against a bare loop and against the usual way, on the same model, probe and machine.

    python benchmarks/measure.py                         # the shipped reference, the digits probe
    python benchmarks/measure.py --model FOLDER --probe PROBE
    python benchmarks/measure.py --width 768             # the reference's architecture, that wide, with random weights

The usual way opens each canvas from a file, calls the processor for every question, lets the model write up to 128
tokens and reads the answer from the text, one question at a time and every scheme from the start. The reference ends
its answers after one word, which costs this way least; ``--answer-tokens 12`` makes every answer that long. Random
weights never end an answer: theirs are as long as the reference's (2, the end mark included) where nothing else is
said.

All ways take turns in one process, and the median over the turns counts. Seconds on the clock depend on what else runs;
processor seconds, over all threads, hardly do. Measuring is timed whole: planning, composing, asking, storing, sealing;
only its statistics are timed apart, since they cost the same for every model.
"""

from __future__ import annotations

import argparse
import copy
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
from PIL import Image

import bapa
from bapa.checkpoints import Loaded, load, weights
from bapa.inference.prompts import Prompts
from bapa.inference.reading import from_text
from bapa.measure import measure, runner
from bapa.probe import Design, Probe, build, render
from bapa.stats.bias import VERSION, bias

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


def usual(model: Loaded, probe: Probe, items: int, pictures: Path, tokens: int | None) -> int:
    """One question at a time, every scheme from the start. Returns the number of answers.

    ``pictures``: the folder of the rendered canvases. ``tokens``: of every answer; None lets the model end it.
    """
    prompts, answers = Prompts(model.processor, (probe.height, probe.width)), []
    length = {"max_new_tokens": tokens or 128, "min_new_tokens": tokens}
    for scheme in SCHEMES:
        with bapa.balanced(model.model, scheme), torch.inference_mode():
            for item in probe.items[:items]:
                for cell in range(probe.cells):
                    for question in probe.questions(item, cell):
                        with Image.open(pictures / f"{item.item:06d}_{cell:03d}.png") as file:
                            inputs = prompts.inputs([np.asarray(file.convert("RGB"))], question.text)
                        written = model.model.generate(**inputs, **length, do_sample=False)
                        text = model.processor.decode(
                            written[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
                        )
                        answers.append(from_text(text, question))
    return len(answers)


def ours(model: Loaded, probe: Probe, items: int) -> int:
    """The same answers by ``measure``, audit and statistics aside. Returns their number."""
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(runner, "bias", lambda *_, **__: {"version": VERSION, "schemes": {}}),
    ):
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


def compare(model: Loaded, probe: Probe, items: int, rounds: int, tokens: int | None) -> None:
    """The three ways in turns."""
    batches, few = prepared(model, probe, items), max(1, items // 12)
    with tempfile.TemporaryDirectory() as folder:
        first = copy.copy(probe)
        first.items = probe.items[:few]
        pictures = render(first, Path(folder) / "pictures")
        _compare(model, probe, items, rounds, batches, lambda: usual(model, probe, few, pictures, tokens))


def _compare(
    model: Loaded, probe: Probe, items: int, rounds: int, batches: list[dict[str, Any]], usual_way: Callable[[], int]
) -> None:
    ways: dict[str, Callable[[], int]] = {
        "measure": lambda: ours(model, probe, items),
        "bare loop of model(**batch)": lambda: bare(model, batches),
        "usual way": usual_way,
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


def widened(width: int) -> Loaded:
    """The reference's architecture with a decoder ``width`` wide and 12 layers deep, an encoder half of that, and
    random weights.
    """
    from transformers import LlavaForConditionalGeneration

    from studies.reference.build import model, processor

    config = model().config
    config.text_config.update({"hidden_size": width, "intermediate_size": 3 * width, "num_hidden_layers": 12})
    config.text_config.update({"num_attention_heads": width // 64, "num_key_value_heads": width // 64, "head_dim": 64})
    config.vision_config.update({"hidden_size": width // 2, "intermediate_size": 2 * width, "num_hidden_layers": 6})
    config.vision_config.update({"num_attention_heads": width // 128})
    torch.manual_seed(0)
    llava = LlavaForConditionalGeneration(config).eval()
    print(f"{sum(weight.numel() for weight in llava.parameters()) / 1e6:.0f} M parameters")
    return Loaded(llava, processor(), f"width {width}", weights.of_model(llava))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="reference")
    parser.add_argument("--probe", type=Path, help="folder of a probe (default: digits)")
    parser.add_argument("--width", type=int, help="a multiple of 128: random weights in place of --model")
    parser.add_argument("--answer-tokens", type=int, help="tokens of every answer in the usual way")
    parser.add_argument("--items", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5, help="turns taken")
    parser.add_argument("--peak", type=int, nargs="*", default=[24, 240], help="items whose peak memory is told")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        probe = Probe.load(options.probe) if options.probe else build("digits", Path(folder) / "p", Design(items=240))
        model = widened(options.width) if options.width else load(options.model)
        compare(model, probe, options.items, options.rounds, options.answer_tokens or (2 if options.width else None))
        if options.width:
            return
        time_statistics(model, probe, options.items)
        for items in options.peak:
            print(f"peak memory at {items:3} items: {peak(options.model, probe.path, items):.0f} MB")


if __name__ == "__main__":
    main()
