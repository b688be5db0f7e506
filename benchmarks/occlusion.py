"""Occlusion maps in batches against one mask at a time, on the same model, canvases and machine.

    python benchmarks/occlusion.py

One at a time: every masked canvas goes through the whole processor and ``generate``, alone, as the masking study of
arXiv 2509.21984 does it. Both ways take turns in one process; the median over the turns counts, in processor seconds,
which hardly depend on what else runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bapa.checkpoints import Loaded, load
from bapa.inference.forward import Forward
from bapa.inference.plan import plan
from bapa.inference.prompts import Prompts
from bapa.origin.occlusion import Masks, Occluder, filling, hidden
from bapa.probe import Design, Probe, Question, build


def one_by_one(
    model: Loaded, prompts: Prompts, probe: Probe, canvas: NDArray[np.uint8], question: Question, masks: Masks
) -> NDArray[np.float64]:
    """The map by a generation for each mask."""
    yes, no = model.processor.tokenizer.convert_tokens_to_ids(["yes", "no"])
    filled = filling(canvas, masks.fill, probe.colour)

    def margin(pixels: NDArray[np.uint8]) -> float:
        inputs = prompts.inputs([pixels], question.text)
        with torch.inference_mode():
            out = model.model.generate(
                **inputs, max_new_tokens=16, do_sample=False, output_logits=True, return_dict_in_generate=True
            )
        return float(out.logits[0][0, yes] - out.logits[0][0, no])

    plain = margin(canvas)
    boxes = masks.boxes(*canvas.shape[:2])
    return np.array([plain - margin(hidden(canvas, filled, box, masks.size)) for box in boxes])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="reference")
    parser.add_argument("--mask", type=int, default=8)
    parser.add_argument("--stride", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    masks = Masks(options.mask, options.stride)
    with tempfile.TemporaryDirectory() as folder:
        probe = build("digits", Path(folder) / "p", Design(items=4))
        model = load(options.model)
        prompts = Prompts(model.processor, (probe.height, probe.width))
        occluder = Occluder(Forward(model.model, prompts, plan(probe, prompts, 4, 9).shared), probe.colour, masks)
        seconds, apart = [], 0.0
        for turn in range(options.rounds + 1):  # the first turn warms up
            item = probe.items[turn % 4]
            canvas, question = probe.compose(item, 8), probe.questions(item, 8)[0]
            start = time.process_time()
            together = occluder.map(canvas, [question])[0].ravel()
            middle = time.process_time()
            alone = one_by_one(model, prompts, probe, canvas, question, masks)
            seconds.append((middle - start, time.process_time() - middle))
            apart = max(apart, float(np.abs(together - alone).max()))
    batched, single = np.median(seconds[1:], 0)
    count = len(alone)
    print(f"{count} masks, one at a time: {1e3 * single / count:.1f} ms each; batched: {1e3 * batched / count:.1f} ms")
    print(f"batched is {single / batched:.1f} x as fast; the maps differ by at most {apart:.1e} in the margin")


if __name__ == "__main__":
    main()
