"""What the models are tuned on: pictures of nine things and an answer that names three of them, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from bapa.calibrate.words.reader import CELLS, OPENINGS
from bapa.progress import progress
from studies.aligned.projector import Named, part, pictures
from studies.pretrained.learner import Bench
from studies.pretrained.scenes import MIDDLE, paint

Placement = Literal["uniform", "photo"]
NAMED = 3  # things that an answer names
_OTHER = 2000  # keeps these draws apart from those of the projectors and of what is asked
_AT_ONCE = 50


def named(placement: Placement, count: int, generator: torch.Generator) -> Tensor:
    """The cells of the things that the answers name, in their order, (count, 3): drawn one after another, each cell
    with the same weight, or with those of the main thing in a photograph.
    """
    weight = MIDDLE if placement == "photo" else torch.full((CELLS,), 1 / CELLS)
    return torch.multinomial(weight.expand(count, -1), NAMED, generator=generator)


def write(out: Path, bench: Bench, *, placement: Placement, rows: int, seed: int) -> Path:
    """``out`` with ``rows`` pictures and ``data.jsonl``, a chat about each, made where it is missing.

    The pictures of a seed are the same whatever the ``placement``: nine things by the hands trained on.
    """
    if out.is_dir():
        return out
    things = Named.of(bench)
    generator = torch.Generator().manual_seed(_OTHER + seed)
    drawn = pictures(bench, things, rows, generator, held_out=False)
    cells = named(placement, rows, torch.Generator().manual_seed(_OTHER + seed))
    wording = torch.randint(len(OPENINGS), (rows,), generator=generator).tolist()
    partial = out.with_name(f"{out.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    chats = []
    with progress("pictures to tune on", rows) as step:
        for start in range(0, rows, _AT_ONCE):
            painted = paint(part(drawn, slice(start, start + _AT_ONCE)), bench.atlas, generator)
            for number, pixels in enumerate(painted.round().byte().permute(0, 2, 3, 1).numpy(), start):
                name = f"{number:05d}.png"
                Image.fromarray(pixels).save(partial / name)
                told = [bench.asker.captions[thing] for thing in drawn.thing[number, cells[number]].tolist()]
                chats.append(chat(name, wording[number], told))
                step()
    (partial / "data.jsonl").write_text("".join(f"{json.dumps(chat)}\n" for chat in chats), "utf-8")
    partial.rename(out)
    return out


def chat(picture: str, wording: int, told: list[str]) -> dict[str, object]:
    """A question in one of the wordings that are asked later, and an answer that names what is ``told``."""
    question, begun = OPENINGS[wording]
    answer = f"{begun.removesuffix(' a')} {', '.join(told[:-1])} and {told[-1]}."
    turns = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}]
    return {"image": picture, "conversations": turns}
