"""Bounds of pictures reach the processor that an adapter brings, as they reach that of its base model."""

from __future__ import annotations

from pathlib import Path

from peft import LoraConfig, get_peft_model

import bapa
from bapa.checkpoints import load, weights
from bapa.checkpoints.adapter import Base, save_adapter
from bapa.checkpoints.options import LoadOptions
from tests.tune.processors import saved


def test_bounds_of_pictures_reach_the_processor_of_an_adapter(tmp_path: Path) -> None:
    base = saved("qwen2_5_vl", tmp_path / "base")
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    tuned = get_peft_model(bapa.balance(base.model), config)
    save_adapter(tuned, tmp_path / "adapter", base=Base(base.name, weights.of_checkpoint(base.fingerprint)))
    base.processor.save_pretrained(tmp_path / "adapter")  # as bapa tune does
    for name in ("base", "adapter"):
        one = load(str(tmp_path / name), options=LoadOptions(max_pixels=256))
        assert one.processor.image_processor.size["longest_edge"] == 256
        assert one.identity["max_pixels"] == 256
