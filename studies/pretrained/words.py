"""A pretrained language model that nobody trained further reads a grid of words: PLAN-3.md.

Input embeddings of words stand in the place of image features, so there is no encoder that could be uneven. Each rule
is asked about the same pictures and kept as it ends; the same command goes on.

python -m studies.pretrained.words                # parts, every rule, then studies/pretrained/words.parquet
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from bapa.attach import balanced
from bapa.checkpoints import load
from bapa.inference.forward import Asked, Forward
from bapa.inference.progress import progress
from bapa.inference.prompts import Prompt, Prompts
from bapa.schemes import parse
from studies.pretrained import build
from studies.pretrained.parts import common_things, install
from studies.where.rules import BLEND, CHANNELS

ANSWERS = Path(__file__).parent / "words.parquet"
PICTURES, SEED, CELLS, BATCH = 240, 1, 9, 8
_PLANNED = (
    "native",
    "bapa",
    "bapa:distance=native",
    "reverse",
    "reverse:image_attention=ranked",
    "calibrated:distance=2x",
    "anchored",
    "imccd",
    "cmpc",
    CHANNELS,
    BLEND,
)
_POST_HOC = (  # added when the maps had been seen: image tokens that all see each other
    "native:image_attention=bidirectional",
    "bapa:image_attention=bidirectional",
    "bapa:distance=native,image_attention=bidirectional",
)
RULES = tuple(parse(rule).label for rule in (*_PLANNED, *_POST_HOC))
WORDINGS = (
    ("What is in the picture?", "The picture shows a"),
    ("Name one thing in the picture.", "There is a"),
    ("Tell me what you can see.", "I can see a"),
)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Grids:
    """``tokens``: of all names, (names,) long; ``shown``: of each picture which names its cells hold, row by row,
    (pictures, 9) long.
    """

    tokens: Tensor
    shown: Tensor


def grids(tokenizer: Any, names: Sequence[str], pictures: int = PICTURES, seed: int = SEED) -> Grids:
    """Pictures of nine different names each, of those names that are one token behind a space."""
    written = [tokenizer.encode(f" {name}", add_special_tokens=False) for name in names]
    tokens = torch.tensor(sorted({ids[0] for ids in written if len(ids) == 1}))
    generator = torch.Generator().manual_seed(seed)
    return Grids(
        tokens, torch.stack([torch.randperm(len(tokens), generator=generator)[:CELLS] for _ in range(pictures)])
    )


def cell_of_token() -> Tensor:
    """The cell in which each image token lies, (81,) long."""
    along = torch.arange(build.GRID) * 3 // build.GRID
    return (along[:, None] * 3 + along).flatten()


def asked(model: Any, processor: Any, shown: Grids) -> Array:
    """Log-probabilities that each name follows, (pictures, wordings, names), under the model's present rule."""
    prompts = [_prompt(processor, *wording) for wording in WORDINGS]
    shared = next(n for n, ids in enumerate(zip(*prompts, strict=False)) if len(set(ids)) > 1)
    forward = Forward(model, Prompts(processor, (build.CANVAS_PX, build.CANVAS_PX)), shared)
    words = model.get_input_embeddings()(shown.tokens).detach()
    head = torch.tensor(prompts[0])
    found = []
    with progress("pictures", len(shown.shown)) as step:
        for some in shown.shown.split(BATCH):
            features = BaseModelOutputWithPooling(pooler_output=words[some[:, cell_of_token()]])
            inputs = {
                "input_ids": head.expand(len(some), -1),
                "attention_mask": torch.ones(len(some), len(head), dtype=torch.long),
                "mm_encoder_outputs": {"image": features},
            }
            logits = forward.logits(Asked(inputs, [[Prompt(ids, {}) for ids in prompts]] * len(some)))
            found.append(logits.float().log_softmax(-1)[..., shown.tokens].double().numpy())
            for _ in some:
                step()
    return np.concatenate(found)


def _prompt(processor: Any, question: str, begun: str) -> list[int]:
    content = [{"type": "image"}, {"type": "text", "text": question}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    text = text.replace(build.IMAGE, build.IMAGE * build.GRID**2) + begun
    ids: list[int] = processor.tokenizer.encode(text, add_special_tokens=False)
    return ids


def shares(logs: Array, shown: NDArray[np.int64]) -> Array:
    """Of each cell of each picture: the share of the absent names that score below its name, ties half. A score is the
    log-probability less the name's mean over the pictures that do not show it. ``logs``: (pictures, names); ``shown``:
    (pictures, 9).
    """
    there = np.zeros(logs.shape, bool)
    np.put_along_axis(there, shown, True, 1)
    scores = logs - np.nanmean(np.where(there, np.nan, logs), 0)
    mine = np.take_along_axis(scores, shown, 1)[..., None]
    others = np.where(there, np.nan, scores)[:, None]
    below = (others < mine).sum(-1) + 0.5 * (others == mine).sum(-1)
    result: Array = below / (logs.shape[1] - shown.shape[1])
    return result


def run(parts: Path, work: Path, rules: Sequence[str]) -> None:
    """Ask every rule that ``work`` lacks, then collect what is there."""
    work.mkdir(parents=True, exist_ok=True)
    missing = [rule for rule in rules if not (work / f"{RULES.index(rule)}.npy").is_file()]
    loaded = load(str(build.base(parts)), device="cpu", dtype=torch.float32)
    names = [thing.caption.removeprefix("an ").removeprefix("a ") for thing in common_things(parts)]
    shown = grids(loaded.processor.tokenizer, names)
    for rule in missing:
        print(rule, flush=True)
        with balanced(loaded.model, rule):
            logs = asked(loaded.model, loaded.processor, shown)
        partial = work / "partial.npy"
        np.save(partial, logs)
        partial.replace(work / f"{RULES.index(rule)}.npy")
    collect(work, shown)


def collect(work: Path, shown: Grids) -> None:
    """The share of every rule, wording, picture and cell into the repository."""
    frames = []
    for number, rule in enumerate(RULES):
        if not (kept := work / f"{number}.npy").is_file():
            continue
        logs = np.load(kept)
        for wording in range(logs.shape[1]):
            found = shares(logs[:, wording], shown.shown.numpy())
            picture, cell = np.indices(found.shape).reshape(2, -1)
            columns = {"wording": wording, "picture": picture, "cell": cell, "share": found.ravel()}
            frames.append(pd.DataFrame({"scheme": rule, **columns}))
    types = {"wording": "int8", "picture": "int16", "cell": "int8", "share": "float32"}
    pd.concat(frames).astype(types).to_parquet(ANSWERS, compression="zstd", index=False)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m studies.pretrained.words", description=__doc__)
    parser.add_argument("--parts", type=Path, default=Path("build/pretrained/parts"), help="where the parts lie")
    parser.add_argument("--work", type=Path, default=Path("build/pretrained/words"), help="where results go")
    parser.add_argument("--rule", action="append", choices=RULES, help="default: all; repeatable")
    args = parser.parse_args()
    args.parts.mkdir(parents=True, exist_ok=True)
    install(args.parts)
    run(args.parts, args.work, args.rule or RULES)


if __name__ == "__main__":
    main()
