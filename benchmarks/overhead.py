"""What balancing costs in prefill and decode, native against BaPA, on random-weight models of over 100 M parameters.

    python benchmarks/overhead.py                  # LLaVA and Qwen2.5-VL, about 600 image tokens, batches of 1 and 8
    python benchmarks/overhead.py --rounds 5 --batch 1
    python benchmarks/overhead.py --scheme bapa:pairs=cross --batch 1
    python benchmarks/overhead.py --model FOLDER --dtype bfloat16   # trained weights, a random picture, one question

The question is a cost of one per cent (prefill) or two (decode), and it is asked in three ways, as two large times
differ by more than that from one run to the next:

- the *ratio* of whole steps. Each round times one native and one balanced step back to back, in alternating order; the
  median of the ratios counts, with its 95 % bootstrap interval over rounds. Seconds are those of the processor over all
  threads; on an accelerator, of the clock.
- what is *added*, timed by itself: the hooks of the outer module, and the rotary embedding with its hooks, under BaPA
  less natively, as a share of the native step. Nothing else of a balanced model's code differs.
- that nothing else is *done*: the operations of a balanced step beyond the native one's, by name and size (added.py).
  None missing and few small ones added means that all kernels, attention among them, ran as they do natively.

Under another ``--scheme`` only the first question is asked: a rule in some pairs of tokens changes the attention.

Where the interval of the ratio holds 1.00 and is wider than the goal, the machine was too busy for the first question;
the other two answer all the same.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers
from added import ops_added, time_added
from scipy.stats import bootstrap
from torch import nn

import bapa
from bapa.checkpoints import load

IMAGE, VIDEO, START, END = 1000, 1001, 1002, 1003
WORDS = {
    "vocab_size": 1024,
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 9,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
}
TOY = {**WORDS, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
TOY["num_key_value_heads"] = 2


def llava(words: dict[str, int] = WORDS) -> tuple[nn.Module, dict[str, torch.Tensor], int]:
    """The model, the pictures of one row, and how many tokens they take: 336 pixels in patches of 14."""
    tower = {"model_type": "clip_vision_model", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    tower |= {"num_attention_heads": 2, "image_size": 336, "patch_size": 14}
    config = transformers.LlavaConfig(
        vision_config=tower, text_config={"model_type": "llama", **words}, image_token_index=IMAGE
    )
    return transformers.LlavaForConditionalGeneration(config), {"pixel_values": torch.randn(1, 3, 336, 336)}, 576


def qwen2_5_vl(words: dict[str, int] = WORDS) -> tuple[nn.Module, dict[str, torch.Tensor], int]:
    """The model, the pictures of one row, and how many tokens they take: 48 x 50 patches, merged 2 x 2."""
    tower = {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 2,
        "out_hidden_size": words["hidden_size"],
    }
    pairs = words["hidden_size"] // words["num_attention_heads"] // 2
    sections = [pairs - 2 * (pairs * 3 // 8), pairs * 3 // 8, pairs * 3 // 8]
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections}
    config = transformers.Qwen2_5_VLConfig(
        text_config={**words, "rope_parameters": rope},
        vision_config=tower,
        image_token_id=IMAGE,
        video_token_id=VIDEO,
        vision_start_token_id=START,
        vision_end_token_id=END,
    )
    pictures = {"pixel_values": torch.randn(48 * 50, 1176), "image_grid_thw": torch.tensor([[1, 48, 50]])}
    return transformers.Qwen2_5_VLForConditionalGeneration(config), pictures, 600


def prompt(pictures: dict[str, torch.Tensor], tokens: int, batch: int) -> dict[str, torch.Tensor]:
    """A batch of rows with one picture and forty words each."""
    row = torch.cat([torch.arange(10, 30), torch.tensor([START]), torch.full((tokens,), IMAGE), torch.tensor([END])])
    ids = torch.cat([row, torch.arange(30, 50)])[None]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **pictures}
    inputs |= {"mm_token_type_ids": (ids == IMAGE).int()} if "image_grid_thw" in pictures else {}
    return repeated(inputs, batch)


def repeated(row: dict[str, torch.Tensor], batch: int) -> dict[str, torch.Tensor]:
    """A batch of the same row."""
    return {name: value.repeat(batch, *[1] * (value.dim() - 1)) for name, value in row.items()}


def of_folder(name: str, dtype: str | None) -> tuple[nn.Module, dict[str, torch.Tensor], int]:
    """A model, one row of its own prompt about a random picture, and how many tokens that takes."""
    loaded = load(name, dtype=dtype)
    words = {"type": "text", "text": "Is there a red seven in the picture? Answer yes or no."}
    turns = [{"role": "user", "content": [{"type": "image"}, words]}]
    text = loaded.processor.apply_chat_template(turns, add_generation_prompt=True)
    picture = np.random.default_rng(0).integers(0, 256, (288, 288, 3), dtype=np.uint8)
    inputs = dict(loaded.processor(images=[picture], text=[text], return_tensors="pt"))
    pixels = {name: value.to(loaded.model.dtype) for name, value in inputs.items() if value.is_floating_point()}
    tokens = int((inputs["input_ids"] == loaded.model.config.image_token_id).sum())
    return loaded.model, inputs | pixels, tokens


def seconds(step: Callable[[], Any]) -> float:
    """Processor seconds of one step, or seconds on the clock where an accelerator does the work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        return time.perf_counter() - start
    start = time.process_time()
    step()
    return time.process_time() - start


@dataclass(frozen=True)
class Cost:
    """Median ratio balanced / native with its 95 % interval, median seconds of both."""

    ratio: float
    interval: tuple[float, float]
    native: float
    balanced: float
    scheme: str = "bapa"

    def __str__(self) -> str:
        low, high = self.interval
        seconds = f"native {self.native:.4f} s, {self.scheme} {self.balanced:.4f} s"
        return f"ratio {self.ratio:.4f} [{low:.4f}, {high:.4f}] ({seconds})"


def paired(model: nn.Module, step: Callable[[], Callable[[], Any]], rounds: int, other: str = "bapa") -> Cost:
    """The cost of a step. ``step`` prepares one under the scheme in force."""
    found: dict[str, list[float]] = {"native": [], other: []}
    for turn in range(rounds + 1):  # the first round warms up
        for scheme in ("native", other) if turn % 2 else (other, "native"):
            bapa.balance(model, scheme)
            took = seconds(step())
            if turn:
                found[scheme].append(took)
    native, balanced = np.array(found["native"]), np.array(found[other])
    return Cost(*_median(balanced / native), float(np.median(native)), float(np.median(balanced)), other)


def _median(ratios: np.ndarray) -> tuple[float, tuple[float, float]]:
    middle = float(np.median(ratios))
    if len(ratios) < 2:
        return middle, (float("nan"), float("nan"))
    with np.errstate(invalid="ignore"):
        drawn = bootstrap((ratios,), np.median, method="percentile", rng=np.random.default_rng(0))
    return middle, tuple(drawn.confidence_interval)


def timed(model: nn.Module, inputs: dict[str, Any], steps: int) -> dict[str, Callable[[], Callable[[], Any]]]:
    """What is timed, by name: each prepares a step under the scheme in force."""

    def prefill() -> Callable[[], Any]:
        return lambda: model(**inputs, logits_to_keep=1, use_cache=True)

    filled: dict[str, Any] = {}

    def decode() -> Callable[[], Any]:
        scheme = str(bapa.scheme_of(model))
        if scheme not in filled:
            filled[scheme] = model(**inputs, logits_to_keep=1, use_cache=True).past_key_values
        cache = copy.deepcopy(filled[scheme])  # the scheme's state rides on it
        token = inputs["input_ids"][:, -1:]

        def run() -> None:
            for _ in range(steps):
                model(input_ids=token, past_key_values=cache, use_cache=True)

        return run

    return {"prefill": prefill, f"{steps} decode steps": decode}


@torch.inference_mode()
def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--toy", action="store_true", help="the same steps on models of a few thousand parameters")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--scheme", default="bapa", help="what is held against native")
    parser.add_argument("--steps", type=int, default=16, help="decode steps timed together")
    parser.add_argument("--model", help="a folder or hub id instead of the random-weight models")
    parser.add_argument("--dtype", help="of --model, e.g. bfloat16")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for build in (of_folder,) if options.model else (llava, qwen2_5_vl):
        torch.manual_seed(0)
        if options.model:
            model, row, tokens = of_folder(options.model, options.dtype)
        else:
            model, pictures, tokens = build(TOY if options.toy else WORDS)
            row = prompt(pictures, tokens, batch=1)
        model = model.eval().to(device)
        size = sum(p.numel() for p in model.parameters()) / 1e6
        print(f"{type(model).__name__}, {size:.0f} M parameters, {tokens} image tokens, {device}")
        for batch in options.batch:
            inputs = {name: value.to(device) for name, value in repeated(row, batch).items()}
            for name, step in timed(model, inputs, options.steps).items():
                cost = paired(model, step, options.rounds, options.scheme)
                print(f"  batch {batch}, {name}: {cost}", flush=True)
                if options.scheme != "bapa":
                    continue
                added = time_added(model, step, min(options.rounds, 5))
                print(f"    added: {added * 1e3:.2f} ms, {added / cost.native:.2%} of the native step")
                print(f"    done: {ops_added(model, step)}", flush=True)


if __name__ == "__main__":
    main()
