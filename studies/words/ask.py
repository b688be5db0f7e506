"""A pretrained language model that nobody trained further reads a grid of words: PLAN.md.

Input embeddings of words stand in the place of image features, so there is no encoder that could be uneven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from bapa.calibrate.words.reader import CELLS, OPENINGS
from bapa.checkpoints import load
from bapa.files import replacing
from bapa.inference.forward import Asked, Forward
from bapa.inference.prompts import Prompt, Prompts
from bapa.probe.questions import bare
from bapa.progress import progress
from bapa.schemes import parse
from studies.pretrained import build
from studies.pretrained.parts import common_things
from studies.where.rules import BLEND, CHANNELS

SEED, AT_ONCE = 1, 648  # AT_ONCE: image tokens of a batch
PICTURES = {9: 240, 24: 80}  # by tokens along a side: of the bench, of a model such as LLaVA-1.5
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
_CANDIDATES = (  # PLAN-2: picked on other grids to be even and still know what stands beside what
    "bapa:blend=0.6,layers=6-29",
    "bapa:blend=0.7,layers=9-29",
    "bapa:pairs=cross",
    "bapa:blend=0.6,image_attention=bidirectional,layers=6-29",
    "bapa:image_attention=bidirectional,layers=6-29",
)
CARRIED = (  # asked of other models too
    "native",
    "bapa",
    "bapa:distance=native",
    "reverse",
    "reverse:image_attention=ranked",
    CHANNELS,
    "native:image_attention=bidirectional",
    "bapa:image_attention=bidirectional",
)
RULES = tuple(parse(rule).label for rule in (*_PLANNED, *_POST_HOC, *_CANDIDATES))
CANDIDATES = RULES[-len(_CANDIDATES) :]
NEAR = ("native", "bapa", CHANNELS, BLEND, RULES[12], *CANDIDATES)  # asked about neighbours
AT = {  # by tokens along a side
    9: RULES,
    24: ("native", "bapa", "reverse", "bapa:image_attention=bidirectional", CANDIDATES[0], CANDIDATES[2]),
}
WORDINGS = OPENINGS
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Grids:
    """``tokens``: of all names, (names,) long; ``shown``: of each picture which names its cells hold, row by row,
    (pictures, 9) long.
    """

    tokens: Tensor
    shown: Tensor


def grids(tokenizer: Any, names: Sequence[str], pictures: int, seed: int = SEED) -> Grids:
    """Pictures of nine different names each, of those names that are one token behind a space."""
    written = [tokenizer.encode(f" {name}", add_special_tokens=False) for name in names]
    tokens = torch.tensor(sorted({ids[0] for ids in written if len(ids) == 1}))
    generator = torch.Generator().manual_seed(seed)
    return Grids(
        tokens, torch.stack([torch.randperm(len(tokens), generator=generator)[:CELLS] for _ in range(pictures)])
    )


def cell_of_token(side: int) -> Tensor:
    """The cell in which each token of an image of ``side`` x ``side`` tokens lies, (side * side,) long."""
    along = torch.arange(side) * 3 // side
    return (along[:, None] * 3 + along).flatten()


def embedded(model: Any, shown: Grids, side: int) -> Tensor:
    """Word embeddings in the place of image tokens, (pictures, side * side, width)."""
    words: Tensor = model.get_input_embeddings()(shown.tokens).detach()
    return words[shown.shown[:, cell_of_token(side)]]


def asked(model: Any, processor: Any, image: Tensor, names: Tensor, rule: str) -> Array:
    """Log-probabilities that each name follows, (pictures, wordings, names), under ``rule``, which the model
    stands under. ``image``: what stands in the place of the image tokens, (pictures, tokens, width); ``names``: their
    tokens, (names,) long.
    """
    tokens = image.shape[1]
    prompts = [prompt(processor, tokens, *wording) for wording in WORDINGS]
    shared = next(n for n, ids in enumerate(zip(*prompts, strict=False)) if len(set(ids)) > 1)
    forward = Forward(model, Prompts(processor, (build.CANVAS_PX, build.CANVAS_PX)), shared)
    head = torch.tensor(prompts[0])
    found = []
    with progress(f"pictures under {rule}", len(image)) as step:
        for some in image.split(AT_ONCE // tokens):
            features = BaseModelOutputWithPooling(pooler_output=some)
            inputs = {
                "input_ids": head.expand(len(some), -1),
                "attention_mask": torch.ones(len(some), len(head), dtype=torch.long),
                "mm_encoder_outputs": {"image": features},
            }
            logits = forward.logits(Asked(inputs, [[Prompt(ids, {}) for ids in prompts]] * len(some)))
            found.append(logits.float().log_softmax(-1)[..., names].double().numpy())
            for _ in some:
                step()
    return np.concatenate(found)


def prompt(processor: Any, tokens: int, question: str, begun: str) -> list[int]:
    """Tokens of the chat up to the ``begun`` answer, with so many ``tokens`` of an image."""
    content = [{"type": "image"}, {"type": "text", "text": question}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    text = text.replace(build.IMAGE, build.IMAGE * tokens) + begun
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


def ask(parts: Path, work: Path, wanted: Mapping[int, Sequence[str]]) -> pd.DataFrame:
    """Ask every ``wanted`` rule, by tokens along a side, that ``work`` lacks about the same pictures, each kept as it
    ends. The shares of all that are there: columns ``side``, ``scheme``, ``wording``, ``picture``, ``cell``, ``share``.
    """
    work.mkdir(parents=True, exist_ok=True)
    loaded = load(str(build.base(parts)), device="cpu", dtype=torch.float32)
    names = [bare(thing.caption) for thing in common_things(parts)]
    frames: list[pd.DataFrame] = []
    for side, pictures in PICTURES.items():
        shown = grids(loaded.processor.tokenizer, names, pictures)
        image = embedded(loaded.model, shown, side)
        for rule in RULES:
            kept = work / f"{side}-{rule}.npy"
            if rule in wanted.get(side, ()) and not kept.is_file():
                with balanced(loaded.model, rule):
                    keep(kept, asked(loaded.model, loaded.processor, image, shown.tokens, rule))
            if kept.is_file():
                found = frames_of(np.load(kept), shown.shown.numpy())
                frames += [frame.assign(side=side, scheme=rule) for frame in found]
    types = {"side": "int8", "wording": "int8", "picture": "int16", "cell": "int8", "share": "float32"}
    return pd.concat(frames, ignore_index=True)[["side", "scheme", *list(types)[1:]]].astype(types)


def keep(path: Path, logs: Array) -> None:
    """Write ``logs`` to ``path``, whole or not at all."""
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, logs)


def kept(path: Path, ask: Callable[[], Array]) -> Array:
    """What ``path`` holds; asked and kept there where it holds nothing."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        keep(path, ask())
    found: Array = np.load(path)
    return found


def frames_of(logs: Array, shown: NDArray[np.int64]) -> Iterator[pd.DataFrame]:
    """The shares of every wording: columns ``wording``, ``picture``, ``cell``, ``share``. ``logs``: (pictures,
    wordings, names).
    """
    for wording, its in enumerate(logs.swapaxes(0, 1)):
        found = shares(its, shown)
        picture, cell = np.indices(found.shape).reshape(2, -1)
        yield pd.DataFrame({"wording": wording, "picture": picture, "cell": cell, "share": found.ravel()})
