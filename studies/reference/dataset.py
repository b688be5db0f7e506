"""The data of the visual stage as files: canvases of training digits and one question about each."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from PIL import Image

from bapa.errors import RunError
from studies.reference import build
from studies.reference.places import Places
from studies.reference.recipe import SKEWS
from studies.reference.scenes import Asker, Bank
from studies.reference.train import whole

_COPIES = 8  # jittered versions of each scan
_BATCH = 100
_OTHER = 1000  # keeps these draws apart from those that trained a reference of the same seed


def write(out: Path, *, skew: str, rows: int, seed: int, tasks: str = "match") -> Path:
    """Write ``rows`` pictures, each with one question about the cells of ``skew``, and return ``data.jsonl``.

    Scans of the training side only, questions in the shares of the recipe (35 % present, 35 % not, 30 % a colour);
    with the tasks ``places`` these are a third, the others are about rows, reading order and numbers in all cells.

    Raises:
        RunError: ``out`` is not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise RunError(f"{out} is not empty; choose another --out or empty it")
    generator = torch.Generator().manual_seed(_OTHER + seed)
    processor = build.processor(tasks)
    asker = Places(processor) if tasks == "places" else Asker(processor)
    bank = Bank(_COPIES, _OTHER + seed)
    words = processor.tokenizer.convert_ids_to_tokens
    with whole(out) as folder:
        folder.mkdir(parents=True)
        with (folder / "data.jsonl").open("w", encoding="utf-8") as lines:
            for start in range(0, rows, _BATCH):
                scenes = asker.draw(min(_BATCH, rows - start), generator)
                pixels = ((bank.canvases(scenes, generator) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
                questions = asker.ask_once(scenes, SKEWS[skew], generator)
                answers = questions.ids.gather(2, questions.answer_at[..., None]).flatten().tolist()
                for number, (text, answer) in enumerate(zip(questions.text.flatten().tolist(), answers, strict=True)):
                    name = f"{start + number:06d}.png"
                    Image.fromarray(pixels[number]).save(folder / name)
                    turns = [
                        {"from": "human", "value": f"<image>\n{asker.texts[text]}"},
                        {"from": "gpt", "value": words(answer)},
                    ]
                    lines.write(json.dumps({"image": name, "conversations": turns}) + "\n")
    return out / "data.jsonl"
