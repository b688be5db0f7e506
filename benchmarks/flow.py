"""Memory of reading attention row by row, against a plain forward and against full maps.

    python benchmarks/flow.py

A LLaVA with random weights, 32 layers and 2,916 image tokens. Each way runs in a process of its own; what counts is by
how much its peak memory lies above that of the loaded model before the forward, and above zero.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource

import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from bapa.families.anatomy import find
from bapa.origin.flow import gather
from bapa.origin.geometry import Cells

IMAGE, TEXT, SIDE = 100, 24, 54
WAYS = ("plain", "rows", "full maps")


def build(attention: str, width: int, layers: int) -> LlavaForConditionalGeneration:
    """The model: ``width`` channels, ``layers`` layers, 54 x 54 patches."""
    text = LlamaConfig(
        vocab_size=128,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 64,
        max_position_embeddings=8192,
    )
    vision = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=8 * SIDE,
        patch_size=8,
    )
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=IMAGE, image_seq_length=SIDE**2)
    return LlavaForConditionalGeneration._from_config(config, attn_implementation=attention).eval()


def peak(way: str, width: int, layers: int) -> tuple[float, float]:
    """Peak memory in MB before and after one way's forward, in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (way, width, layers))


def _peak(way: str, width: int, layers: int) -> tuple[float, float]:
    torch.manual_seed(0)
    model = build("eager" if way == "full maps" else "sdpa", width, layers)
    ids = torch.cat([torch.tensor([1, 2]), torch.full((SIDE**2,), IMAGE), torch.arange(3, 3 + TEXT)])[None]
    picture = torch.randn(1, 3, 8 * SIDE, 8 * SIDE)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": picture}
    with torch.no_grad():
        model.get_image_features(picture)  # the encoder's memory is the same for all and no part of the question
        before = _used()
        if way == "rows":
            gather(find(model), inputs, Cells(torch.arange(SIDE**2) * 9 // SIDE**2, None), 9)
        else:
            model(**inputs, logits_to_keep=1, use_cache=False, output_attentions=way == "full maps")
    return before, _used()


def _used() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--full", action="store_true", help="also full maps; they take gigabytes")
    options = parser.parse_args()
    found = {way: peak(way, options.width, options.layers) for way in (WAYS if options.full else WAYS[:2])}
    whole, added = found["plain"][1], found["plain"][1] - found["plain"][0]
    for way, (before, after) in found.items():
        print(
            f"{way:10} peak {after:7.0f} MB = {after / whole:.2f} x plain; "
            f"over the loaded model {after - before:6.0f} MB = {(after - before) / added:.2f} x plain"
        )


if __name__ == "__main__":
    main()
