"""What the models are tuned on: pictures of nine things and an answer that names three of them, as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from bapa.calibrate.words.reader import CELLS, OPENINGS
from bapa.progress import progress
from studies.aligned.projector import Named, part, pictures
from studies.pretrained.learner import Bench
from studies.pretrained.scenes import MIDDLE, Scenes, paint

Placement = Literal["uniform", "photo"]
Chat = Sequence[tuple[str, str]]  # questions and answers about one picture
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
    told = [
        [bench.asker.captions[thing] for thing in its[chosen].tolist()]
        for its, chosen in zip(drawn.thing, cells, strict=True)
    ]
    return paired(out, bench, drawn, [turn(*one) for one in zip(wording, told, strict=True)], generator)


def paired(out: Path, bench: Bench, drawn: Scenes, chats: Sequence[Chat], generator: torch.Generator) -> Path:
    """``out`` with a picture of each of the scenes and ``data.jsonl``, its chat."""
    partial = out.with_name(f"{out.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    lines = []
    with progress("pictures to tune on", len(chats)) as step:
        for start in range(0, len(chats), _AT_ONCE):
            painted = paint(part(drawn, slice(start, start + _AT_ONCE)), bench.atlas, generator)
            for number, pixels in enumerate(painted.round().byte().permute(0, 2, 3, 1).numpy(), start):
                name = f"{number:05d}.png"
                Image.fromarray(pixels).save(partial / name)
                turns = [
                    {"from": who, "value": text}
                    for one in chats[number]
                    for who, text in zip(("human", "gpt"), one, strict=True)
                ]
                turns[0]["value"] = f"<image>\n{turns[0]['value']}"
                lines.append(json.dumps({"image": name, "conversations": turns}) + "\n")
                step()
    (partial / "data.jsonl").write_text("".join(lines), "utf-8")
    partial.rename(out)
    return out


def turn(wording: int, told: list[str]) -> Chat:
    """A question in one of the wordings that are asked later, and an answer that names what is ``told``."""
    question, begun = OPENINGS[wording]
    return [(question, f"{begun.removesuffix(' a')} {', '.join(told[:-1])} and {told[-1]}.")]
