"""Does the language model know what stands beside what? PLAN-2.md.

A thing is mentioned, and the log-probabilities of the others are read as what comes next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from bapa.attach import balanced
from bapa.calibrate.words.learn import RELATIONS
from bapa.calibrate.words.reader import CELLS, MENTIONS, Wording
from bapa.checkpoints import load
from bapa.inference.forward import Asked, Forward
from bapa.inference.prompts import Prompt, Prompts
from bapa.probe.questions import bare
from bapa.progress import progress
from studies.pretrained import build
from studies.pretrained.parts import common_things
from studies.words.ask import CANDIDATES, NEAR, PICTURES, embedded, grids, keep, prompt

FORMS = MENTIONS
# By tokens along a side: pictures, forms and rules asked about. The second was added when the first had been seen.
ASKED = {9: (80, FORMS, NEAR), 24: (40, FORMS[:1], ("native", "bapa", CANDIDATES[0], CANDIDATES[2]))}
COLUMNS = ["form", "picture", "relation", "auc"]
Array = NDArray[np.float64]


def mentioned(model: Any, processor: Any, image: Tensor, tokens: Tensor, form: Wording, rule: str) -> Array:
    """Log-probabilities of the things of each picture after each is mentioned, (pictures, 9 mentions, 9 things), under
    ``rule``, which the model stands under. ``image``: (pictures, tokens, width); ``tokens``: of the things' names,
    (pictures, 9) long.
    """
    question, begun = form
    asked = [[(question, begun.format(thing=name)) for name in names] for names in called(processor, tokens)]
    return told(model, processor, image, asked, tokens, f"neighbours under {rule}")


def called(processor: Any, tokens: Tensor) -> list[list[str]]:
    """The names of the things of each picture."""
    return [[processor.tokenizer.decode([token]).strip() for token in things] for things in tokens.tolist()]


def told(
    model: Any, processor: Any, image: Tensor, asked: Sequence[Sequence[Wording]], read: Tensor, what: str
) -> Array:
    """Log-probabilities of what follows each question with the beginning of its answer, (pictures, questions, tokens).
    ``asked``: of each picture the questions; ``read``: which tokens, (pictures, tokens) long; ``what``: is asked, for
    the progress.
    """
    found = []
    with progress(what, len(image)) as step:
        for features, wordings, wanted in zip(image, asked, read, strict=True):
            prompts = [prompt(processor, image.shape[1], *wording) for wording in wordings]
            shared = next(n for n, ids in enumerate(zip(*prompts, strict=False)) if len(set(ids)) > 1)
            forward = Forward(model, Prompts(processor, (build.CANVAS_PX, build.CANVAS_PX)), shared)
            head = torch.tensor(prompts[0])[None]
            inputs = {
                "input_ids": head,
                "attention_mask": torch.ones_like(head),
                "mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=features[None])},
            }
            logits = forward.logits(Asked(inputs, [[Prompt(ids, {}) for ids in prompts]]))[0]
            found.append(logits.float().log_softmax(-1)[:, wanted].double().numpy())
            step()
    return np.stack(found)


def known(logs: Array) -> dict[str, Array]:
    """AUC of each of the ``RELATIONS`` in each picture, (pictures,): how often, after a mention, a thing that stands so
    scores above one that does not, ties half. ``logs``: (pictures, mentions, things). A score is the log-probability
    less the thing's mean over the mentions of all others, so a cell that is always favoured gains nothing.
    """
    scores = np.where(np.eye(CELLS, dtype=bool), np.nan, logs)
    scores = scores - np.nanmean(scores, 1, keepdims=True)
    scores = scores - np.nanmean(scores, 2, keepdims=True)
    found: dict[str, Array] = {}
    for name, steps in RELATIONS.items():
        of_mention = []
        for cell in range(CELLS):
            so = np.array([(one // 3 - cell // 3, one % 3 - cell % 3) in steps for one in range(CELLS)])
            others = ~so & (np.arange(CELLS) != cell)
            if so.any():
                one, two = scores[:, cell, so][:, :, None], scores[:, cell, others][:, None]
                of_mention.append(((one > two) + 0.5 * (one == two)).mean((1, 2)))
        found[name] = np.mean(of_mention, 0)
    return found


def frames_of(logs: Array, form: int) -> Iterator[pd.DataFrame]:
    """Columns ``form``, ``picture``, ``relation``, ``auc``."""
    for relation, auc in known(logs).items():
        yield pd.DataFrame({"form": form, "picture": np.arange(len(auc)), "relation": relation, "auc": auc})


def ask(parts: Path, work: Path, wanted: Mapping[int, Sequence[str]]) -> pd.DataFrame:
    """Ask every ``wanted`` rule, by tokens along a side, that ``work`` lacks about the same grids of words, each kept
    as it ends. What all that are there know: columns ``side``, ``scheme``, ``form``, ``picture``, ``relation``,
    ``auc``.
    """
    work.mkdir(parents=True, exist_ok=True)
    loaded = load(str(build.base(parts)), device="cpu", dtype=torch.float32)
    names = [bare(thing.caption) for thing in common_things(parts)]
    frames: list[pd.DataFrame] = []
    for side, (pictures, forms, rules) in ASKED.items():
        shown = grids(loaded.processor.tokenizer, names, PICTURES[side])
        things = shown.tokens[shown.shown[:pictures]]
        image = embedded(loaded.model, shown, side)[:pictures]
        for rule in rules:
            for form, words in enumerate(forms):
                kept = work / f"near-{side}-{form}-{rule}.npy"
                if rule in wanted.get(side, ()) and not kept.is_file():
                    with balanced(loaded.model, rule):
                        keep(kept, mentioned(loaded.model, loaded.processor, image, things, words, rule))
                if kept.is_file():
                    frames += [frame.assign(side=side, scheme=rule) for frame in frames_of(np.load(kept), form)]
    types = {"side": "int8", "form": "int8", "picture": "int16", "auc": "float32"}
    return pd.concat(frames, ignore_index=True)[["side", "scheme", *COLUMNS]].astype(types)
