"""Attention mass on the image, a criterion that needs no labels."""

from __future__ import annotations

from typing import Any

from PIL import Image

from bapa.attach import balanced
from bapa.origin.attention import of_last_token
from bapa.probe import Item, Probe
from studies.calibration.page import DISTANCES


def mass_of(loaded: Any, probe: Probe) -> dict[str, float]:
    """For every distance, the share of the attention of a question's last token that goes to the image tokens, mean
    over layers, heads, cells and the first half of the items, on which criteria pick.
    """
    items = probe.items[: len(probe.items) // 2]
    return {rule: sum(mass(loaded, probe, item, rule) for item in items) / len(items) for rule in DISTANCES}


def mass(loaded: Any, probe: Probe, item: Item, rule: str) -> float:
    """Attention mass on the image under ``rule``, mean over the cells of ``item``."""
    cells = range(probe.cells)
    prompts = [
        loaded.processor.apply_chat_template(
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question.text}]}],
            add_generation_prompt=True,
        )
        for question in (probe.questions(item, cell)[0] for cell in cells)
    ]
    canvases = [Image.fromarray(probe.compose(item, cell)) for cell in cells]
    inputs = loaded.processor(images=canvases, text=prompts, return_tensors="pt", padding=True)
    image = inputs["input_ids"] == loaded.model.config.image_token_id
    with balanced(loaded.model, rule):
        looks = of_last_token(loaded.model, dict(inputs))
    return float((looks * image).sum(-1).mean())
