"""Where the question and the answer look: attention to image tokens per layer and head, gathered by cell.

Attention is weak evidence: a head may look without using what it sees (Jain and Wallace 2019), which is why these
figures stand beside the interventions and never decide the verdict. *Saliency* is attention times the gradient of the
answer's margin (positive part); it asks for a backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bapa.attach import balanced
from bapa.families.anatomy import Anatomy, find
from bapa.inference.answers import AnswerSet
from bapa.inference.forward import Forward
from bapa.origin.attention import watching
from bapa.origin.geometry import Cells
from bapa.probe import Item, Probe, Question
from bapa.probe.questions import YES_NO
from bapa.stats.trials import ABSENT

SOURCES = ("question", "answer")
SINK = 10.0  # an image token that draws so many times the mean of its image counts as a sink


class Gathered:
    """Reduces rows of attention as they come. ``image``: LongTensor (batch, tokens), columns of the image tokens.

    ``by_token``: float32 (layers, sources, batch, image tokens), mean over heads. ``per_head``: for each layer
    (batch, heads, sources, cells + 3): mass on each cell, on the whole image, on the first token, on image sinks.
    ``entropy``: (batch, heads, sources), of the distribution over image tokens, 1 where it is even.
    """

    def __init__(self, image: Tensor, cells: Cells, count: int, question_rows: int) -> None:
        self.image, self.of, self.count, self.question_rows = image, cells.of.to(image.device), count, question_rows
        self.by_token: dict[int, Tensor] = {}
        self.saliency: dict[int, Tensor] = {}
        self.per_head: dict[int, Tensor] = {}
        self.entropy: dict[int, Tensor] = {}

    def __call__(self, layer: int, attention: Tensor, gradient: Tensor | None) -> None:
        if gradient is not None:
            attention = (attention * gradient).clamp(min=0)
        index = self.image[:, None, None].expand(-1, *attention.shape[1:3], -1)
        on_image = attention.gather(-1, index)  # (batch, heads, rows, tokens)
        parts = (on_image[:, :, : self.question_rows].mean(2), on_image[:, :, self.question_rows :].mean(2))
        stacked = torch.stack(parts, 2)  # (batch, heads, sources, tokens)
        if gradient is not None:
            self.saliency[layer] = stacked.mean(1).transpose(0, 1).cpu()
            return
        self.by_token[layer] = stacked.mean(1).transpose(0, 1).cpu()
        total = stacked.sum(-1)
        cell = torch.stack([stacked[..., self.of == c].sum(-1) for c in range(self.count)], -1)
        first = attention[..., 0]
        on_first = torch.stack(
            [first[:, :, : self.question_rows].mean(2), first[:, :, self.question_rows :].mean(2)], -1
        )
        heavy = stacked.mean(1, keepdim=True)
        sinks = heavy > SINK * heavy.mean(-1, keepdim=True)
        on_sinks = (stacked * sinks).sum(-1)
        self.per_head[layer] = torch.cat([cell, torch.stack([total, on_first, on_sinks], -1)], -1).cpu()
        share = stacked / total.clamp(min=1e-12)[..., None]
        even = torch.log(torch.tensor(float(share.shape[-1])))
        self.entropy[layer] = (-(share * share.clamp(min=1e-12).log()).sum(-1) / even).cpu()


def gather(
    anatomy: Anatomy,
    inputs: dict[str, Any],
    cells: Cells,
    count: int,
    margin_ids: tuple[Tensor, ...] | None = None,
) -> Gathered:
    """Attention of one batch of whole prompts, all of one length, image before the question.

    ``inputs``: a forward's arguments. ``margin_ids``: tokens that say yes and that say no; with them, saliency too.
    """
    ids = inputs["input_ids"]
    mask = torch.isin(ids, anatomy.tokens.to(ids.device))
    image = mask.nonzero()[:, 1].view(len(ids), -1)
    start, length = int(image.max()) + 1, ids.shape[1]
    if start >= length - 1:  # the question stands before the image
        start = 0
    question = [column for column in range(start, length - 1) if not bool(mask[:, column].any())]
    rows = torch.tensor([*question, length - 1], device=ids.device).expand(len(ids), -1)
    gathered = Gathered(image, cells, count, len(question))
    with torch.no_grad(), watching(anatomy, rows, gathered):
        anatomy.model(**inputs, logits_to_keep=1, use_cache=False)
    if margin_ids is not None:
        yes, no = margin_ids
        with torch.enable_grad(), watching(anatomy, rows, gathered, gradient=True), _embeddings_tracked(anatomy):
            logits = anatomy.model(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1].float()
            (logits[:, yes].logsumexp(-1) - logits[:, no].logsumexp(-1)).sum().backward(
                inputs=[anatomy.model.get_input_embeddings().weight]
            )
        anatomy.model.get_input_embeddings().weight.grad = None
    return gathered


class _embeddings_tracked:
    """Makes the word embeddings the one thing that a backward pass reaches, and puts everything back."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.parameters = list(anatomy.model.parameters())
        self.embeddings = anatomy.model.get_input_embeddings().weight
        self.before = [p.requires_grad for p in self.parameters]

    def __enter__(self) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(parameter is self.embeddings)

    def __exit__(self, *_: object) -> None:
        for parameter, flag in zip(self.parameters, self.before, strict=True):
            parameter.requires_grad_(flag)


def study(
    forward: Forward,
    probe: Probe,
    items: Sequence[Item],
    cells: Cells,
    schemes: Sequence[str],
    step: Callable[[], None],
) -> dict[str, Any]:
    """Figures of the question about the target, averaged over ``items`` and, but for the last three, over target cells.

    By scheme. Each (layers, heads, sources): ``image``, ``first_token`` and ``image_sinks``, attention on the whole
    image, on the first token, on image tokens that are sinks; ``target``, the target cell's share of that on the
    image; ``entropy`` over image tokens and ``balance`` over cells, 1 where even. ``target_cells`` and, from saliency,
    ``saliency_target_cells``: (layers, sources, target cells, cells), each cell's share. ``example``: of the first
    item, the answer's attention on each image token, (target cells, tokens), mean over layers. ``step`` is called after
    each item.
    """
    anatomy = find(forward.model)
    answers = AnswerSet(forward.prompts.processor.tokenizer)
    found: dict[str, Any] = {"items": len(items), "schemes": {}}
    for scheme in schemes:
        sums: dict[str, Any] = {}
        with balanced(forward.model, scheme):
            for number, item in enumerate(items):
                question = _about_target(probe, item)
                canvases = [probe.compose(item, cell) for cell in range(probe.cells)]
                inputs = forward.here(forward.prompts.inputs(canvases, question.text))
                pair = tuple(answers.tokens(question.choices)) if question.choices == YES_NO else None
                got = gather(anatomy, inputs, cells, probe.cells, pair)
                for name, value in _figures(got, probe.cells).items():
                    sums[name] = sums.get(name, 0) + value / len(items)
                if number == 0:
                    example = torch.stack([part[1] for part in got.by_token.values()]).mean(0)
                step()
        found["schemes"][scheme] = {name: value.tolist() for name, value in sums.items()} | {
            "example": example.tolist()
        }
    return found


def _about_target(probe: Probe, item: Item) -> Question:
    return next(q for q in probe.questions(item, 0) if q.kind not in ABSENT)


def _figures(got: Gathered, count: int) -> dict[str, np.ndarray]:
    """Of one item, its canvases being the batch: arrays over layers first."""
    layers = sorted(got.per_head)
    heads = torch.stack([got.per_head[layer] for layer in layers])  # (layers, batch, heads, sources, cells + 3)
    cell, total = heads[..., :count], heads[..., count]
    share = cell / cell.sum(-1, keepdim=True).clamp(min=1e-12)
    own = torch.arange(count)
    target = share[:, own, :, :, own].movedim(0, 1)  # (layers, batch, heads, sources)
    balance = -(share * share.clamp(min=1e-12).log()).sum(-1) / np.log(count)
    figures = {
        "image": total.mean(1),
        "first_token": heads[..., count + 1].mean(1),
        "image_sinks": heads[..., count + 2].mean(1),
        "target": target.mean(1),
        "balance": balance.mean(1),
        "entropy": torch.stack([got.entropy[layer] for layer in layers]).mean(1),
        "target_cells": share.mean(2).permute(0, 2, 1, 3),
    }
    if got.saliency:
        salient = torch.stack([got.saliency[layer] for layer in layers])  # (layers, sources, batch, tokens)
        by_cell = torch.stack([salient[..., got.of.cpu() == c].sum(-1) for c in range(count)], -1)
        figures["saliency_target_cells"] = by_cell / by_cell.sum(-1, keepdim=True).clamp(min=1e-12)
    return {name: value.double().numpy() for name, value in figures.items()}
