"""Attention mass on the image as a criterion without labels: the study's figures, for docs/calibration.py.

    python docs/attention.py reference:bottom ... FOLDER/bottom-2 ... --work WORK

For every distance, the share of the attention of a question's last token that goes to the image tokens, mean over
layers, heads, cells and the items on which criteria pick. `docs/calibration.py write` then adds the column.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a model this small only waits for more threads

import torch
import typer
from PIL import Image

from bapa.attach import balanced
from bapa.calibrate.dials import distances
from bapa.checkpoints import Loaded, load
from bapa.probe import Item, Probe
from docs.calibration import ITEMS, SCANNED, slug

PICK = SCANNED // 2


@torch.no_grad()
def mass(loaded: Loaded, probe: Probe, item: Item, dial: str) -> float:
    """Attention mass on the image under ``dial``, mean over the cells of ``item``."""
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
    with balanced(loaded.model, dial):
        layers = loaded.model(**inputs, output_attentions=True).attentions
    looks = torch.stack([layer[:, :, -1].mean(1) for layer in layers]).mean(0)
    return float((looks * image).sum(-1).mean())


def main(models: list[str], work: Annotated[Path, typer.Option()]) -> None:
    """Write ``study/attention.json`` for each of ``models``."""
    probe = Probe.load(work / "probe")
    for name in models:
        out = work / slug(name) / "study" / "attention.json"
        if out.exists():
            continue
        loaded = load(name)
        loaded.model.set_attn_implementation("eager")
        items = [probe.items[number] for number in range(ITEMS, ITEMS + PICK)]
        found = {dial: sum(mass(loaded, probe, item, dial) for item in items) / PICK for dial in distances()}
        out.write_text(json.dumps(found, indent=1))
        typer.echo(f"{name}: {max(found, key=lambda dial: found[dial])}")


if __name__ == "__main__":
    typer.run(main)
