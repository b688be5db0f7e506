"""Overhead and equality at 7 B random weights in bfloat16 on a GPU: sdpa, flash attention, compiled decoding.

    python benchmarks/gpu.py            # LLaVA and Qwen2.5-VL; about 20 GB of GPU memory
    python benchmarks/gpu.py --smoke    # the same steps on the CPU, at toy size, without flash attention

Prints one line a check: what balancing costs in prefill and decode (paired, median of ratios), whether flash attention
equals sdpa under BaPA as closely as it does natively, and how many graphs compiled decoding takes, native and balanced.
Exits with 1 where flash attention or the number of graphs differs, with 2 without a GPU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import overhead
import torch
from torch import nn

import bapa

LARGE = {"vocab_size": 32064, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32}
LARGE |= {"num_attention_heads": 32, "num_key_value_heads": 32}
SMALL = {"vocab_size": 1024, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
SMALL |= {"num_attention_heads": 4, "num_key_value_heads": 2}
SCHEMES = ("native", "bapa")


@dataclass(frozen=True)
class Setting:
    """Where and at which size everything runs."""

    device: str
    dtype: torch.dtype
    words: dict[str, int]
    flash: bool
    rounds: int


def setting(smoke: bool) -> Setting:
    """The GPU's, or with ``smoke`` the CPU's. SystemExit 2 where there is no GPU and none was waived."""
    if smoke:
        return Setting("cpu", torch.float32, SMALL, flash=False, rounds=1)
    if not torch.cuda.is_available():
        print("no GPU found: this needs CUDA; --smoke runs the same steps at toy size on the CPU", file=sys.stderr)
        raise SystemExit(2)
    from transformers.utils import is_flash_attn_2_available

    return Setting("cuda", torch.bfloat16, LARGE, flash=is_flash_attn_2_available(), rounds=7)


@torch.inference_mode()
def last_logits(model: nn.Module, inputs: dict[str, Any], attention: str, scheme: str) -> torch.Tensor:
    """Logits of the last token, float32, under an attention implementation and a scheme."""
    model.set_attn_implementation(attention)  # type: ignore[operator]
    with bapa.balanced(model, scheme):
        return model(**inputs, logits_to_keep=1).logits[:, -1].float()


def flash_equals_sdpa(model: nn.Module, inputs: dict[str, Any], flash: str) -> tuple[bool, str]:
    """Whether the two differ under BaPA by no more than twice what they differ by natively."""
    apart = {}
    for scheme in SCHEMES:
        one, other = (last_logits(model, inputs, attention, scheme) for attention in ("sdpa", flash))
        apart[scheme] = float((one - other).abs().max() / one.abs().max())
    model.set_attn_implementation("sdpa")  # type: ignore[operator]
    said = f"{flash} against sdpa, largest difference: native {apart['native']:.1e}, bapa {apart['bapa']:.1e}"
    return apart["bapa"] <= max(2 * apart["native"], 1e-5), said


def compiled(model: nn.Module, inputs: dict[str, Any], device: str) -> tuple[bool, str]:
    """Whether decoding with a static cache takes as many graphs under BaPA as natively.

    Inductor with CUDA graphs on the GPU, graphs counted only on the CPU.
    """
    from transformers.generation.configuration_utils import CompileConfig

    count: dict[str, int] = {}
    for scheme in SCHEMES:
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        on_gpu = device == "cuda"
        config = CompileConfig(backend="inductor" if on_gpu else "eager", mode="reduce-overhead" if on_gpu else None)
        config._compile_all_devices = True
        options = {"cache_implementation": "static", "max_cache_len": inputs["input_ids"].shape[1] + 16}
        with bapa.balanced(model, scheme):
            for _ in range(2):
                model.generate(**inputs, **options, max_new_tokens=8, do_sample=False, compile_config=config)  # type: ignore[operator]
        count[scheme] = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    return count["bapa"] == count[
        "native"
    ] > 0, f"graphs of compiled decoding: native {count['native']}, bapa {count['bapa']}"


@torch.inference_mode()
def costs(model: nn.Module, inputs: dict[str, Any], rounds: int) -> list[str]:
    """What balancing costs, a line for each step."""
    lines = []
    for name, step in overhead.timed(model, inputs, steps=16).items():
        lines.append(f"{name}: {overhead.paired(model, step, rounds)}")
    return lines


def main() -> int:
    """Run everything; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="toy size on the CPU")
    here = setting(parser.parse_args().smoke)
    right = True
    builders: tuple[Callable[..., Any], ...] = (overhead.llava, overhead.qwen2_5_vl)
    for build in builders:
        torch.manual_seed(0)
        with torch.device(here.device):
            model, pictures, tokens = build(here.words)
        model = model.to(here.device, here.dtype).eval()
        size = sum(p.numel() for p in model.parameters()) / 1e9
        print(f"{type(model).__name__}, {size:.2f} B parameters, {here.dtype}, {here.device}", flush=True)
        for batch in (1, 8):
            inputs = {name: value.to(here.device) for name, value in overhead.prompt(pictures, tokens, batch).items()}
            inputs |= {name: value.to(here.dtype) for name, value in inputs.items() if value.is_floating_point()}
            for line in costs(model, inputs, here.rounds):
                print(f"  batch {batch}, {line}", flush=True)
        inputs = {name: value[: len(value) // 8] for name, value in inputs.items()}
        checks = [flash_equals_sdpa(model, inputs, "flash_attention_2" if here.flash else "eager")]
        checks.append(compiled(model, inputs, here.device))
        for holds, said in checks:
            print(f"  {'holds' if holds else 'FAILS'}: {said}", flush=True)
            right &= holds
        if not here.flash:
            print("  flash attention is not installed: eager stood in for it")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
