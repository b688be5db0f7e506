"""The encoder read directly: is the target's content there, wherever it stands?

*Linear probes* read labels of the target from the mean state of its cell: fitted on the other cells and other items,
then tried on this cell (``transfer``), and fitted on all cells (``everywhere``). Content that only ``everywhere`` reads
is there but written differently from cell to cell. Where every item is a class of its own no item can be held out:
probes are fitted on the same items in the other cells, and there is ``transfer`` alone. *Invariance* is the cosine
between the target's tokens in one cell and the same tokens in another, patch by patch, after taking away the mean over
all targets of each place; beside it the cosine between different targets in one cell, which is what it would be if
content did not matter. *Similarity* is that of the caption's word embeddings and the projected tokens, max-pooled over
the image as in arXiv 2509.21984: blind to where the maximum lies, since any order of the tokens gives the same number;
beside it, how often it lies in the target's cell.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapa.families.anatomy import Anatomy
from bapa.inference.forward import Forward
from bapa.origin import tower
from bapa.origin.geometry import Cells
from bapa.probe import Item, Probe
from bapa.stats import intervals, rates
from bapa.stats.bias import Settings
from bapa.stats.significance import place_test

Array = NDArray[np.float64]
_CLASSES, _EACH = 50, 4  # a label serves with at most so many classes, and at least so many items to a class
_FOLDS = 2


@dataclass
class Read:
    """What the encoder makes of the targets.

    ``states``: for each layer float32 (items, cells, width), the mean state of the target's cell with the target there;
    the last is that of the projected features. ``tokens``: (items, cells, n, width), projected tokens of the target, or
    None where cells do not correspond patch by patch. ``image``: (items, cells, image tokens, width), all of them, or
    None where it is not known what each shows.
    """

    layers: list[str]
    states: list[Tensor]
    tokens: Tensor | None
    image: Tensor | None


@torch.inference_mode()
def read(
    anatomy: Anatomy, forward: Forward, probe: Probe, items: Sequence[Item], cells: Cells, step: Callable[[], None]
) -> Read:
    """Encode all canvases of ``items``; ``step`` is called after each.

    Raises ModelError where the model's encoder does not run on its own.
    """
    text = probe.questions(items[0], 0)[0].text

    def encoded(canvases: Sequence[NDArray]) -> list[Tensor]:
        return tower.layers(anatomy, forward.features, forward.prompts.inputs(canvases, text), len(canvases))

    of = tower.sees(encoded(tower.speckled(probe.rows, probe.cols, probe.cell_px, probe.design.tall))[0])
    count = probe.cells
    own = torch.arange(count)
    states: list[list[Tensor]] = []
    tokens, image = [], []
    for item in items:
        *hidden, projected = encoded([probe.compose(item, cell) for cell in range(count)])
        means = [tower.pooled(part, of, count)[own, own] for part in hidden[1:]]
        if len(cells.of):
            means.append(tower.pooled(projected, cells.of, count)[own, own])
            image.append(projected)
        states.append(means)
        if cells.blocks is not None:
            tokens.append(projected[own[:, None], cells.blocks])
        step()
    names = [f"encoder {number}" for number in range(1, len(hidden))]
    return Read(
        [*names, *(["projected"] if image else [])],
        [torch.stack(part).float().cpu() for part in zip(*states, strict=True)],
        torch.stack(tokens).float().cpu() if tokens else None,
        torch.stack(image).float().cpu() if image else None,
    )


def labels(probe: Probe, items: Sequence[Item]) -> dict[str, NDArray[np.int64]]:
    """What can be read of the targets, by name: the class of each item, (items,).

    Attributes that the source gives and that fall into few classes; else the target itself, ``identity``.
    """
    told = [probe.attributes(item.target) for item in items]
    found = {}
    for name in told[0]:
        _, classes, counts = np.unique([one.get(name, "") for one in told], return_inverse=True, return_counts=True)
        if 2 <= len(counts) <= _CLASSES and np.median(counts) >= _EACH:
            found[name] = classes
    return found or {"identity": np.unique([item.target for item in items], return_inverse=True)[1]}


def held_out(classes: NDArray[np.int64]) -> bool:
    """Whether linear probes are tried on other items than those they are fitted on."""
    return len(np.unique(classes)) < len(classes)


def probes(states: Tensor, classes: NDArray[np.int64], seed: int) -> dict[str, Array]:
    """Whether a linear probe reads each target right in each cell: ``transfer`` and ``everywhere``, (items, cells) of 0
    and 1.

    ``states``: (items, cells, width). Fitted on one half of the items and tried on the other, both ways; where every
    item is a class of its own, fitted on the same items in other cells.
    """
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = states.numpy().astype(float)
    items, cells, width = values.shape
    single = not held_out(classes)
    fold = np.random.default_rng(seed).permutation(items) % _FOLDS
    right = {name: np.full((items, cells), np.nan) for name in ("transfer", "everywhere")}
    for number in range(1 if single else _FOLDS):
        tried = np.full(items, True) if single else fold == number
        fitted = tried if single else ~tried
        for name, left_out in (("transfer", range(cells)), ("everywhere", [None])):
            if single and name == "everywhere":
                continue  # the very states tried would be among those fitted
            for cell in left_out:
                there = np.arange(cells) != cell if cell is not None else np.full(cells, True)
                reader = make_pipeline(StandardScaler(), RidgeClassifier(alpha=10.0))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # an ill-conditioned fit is still a fit
                    reader.fit(values[fitted][:, there].reshape(-1, width), np.repeat(classes[fitted], there.sum()))
                shown = np.flatnonzero(~there) if cell is not None else np.arange(cells)
                said = reader.predict(values[tried][:, shown].reshape(-1, width)).reshape(-1, len(shown))
                right[name][np.ix_(tried, shown)] = said == classes[tried][:, None]
    return right


def invariance(tokens: Tensor) -> dict[str, Any]:
    """``same``: cosine of a target's tokens between cells, (cells, cells), mean over items and tokens; ``other``:
    between different targets in one cell, (cells,). ``tokens``: (items, cells, n, width).
    """
    centred = tokens - tokens.mean(0, keepdim=True)
    unit = torch.nn.functional.normalize(centred, dim=-1)
    same = torch.einsum("iatw,ibtw->ab", unit, unit) / (unit.shape[0] * unit.shape[2])
    other = torch.einsum("ictw,ictw->c", unit, unit.roll(1, 0)) / (unit.shape[0] * unit.shape[2])
    return {"same": same.tolist(), "other": other.tolist()}


def similarity(image: Tensor, words: Sequence[Tensor], cells: Cells) -> dict[str, Array]:
    """Of the caption's words with the image tokens, (items, cells) each: ``max_pooled``, the paper's number;
    ``in_target``, whether the maximum lies in the target's cell (chance: one in the number of cells).

    ``image``: (items, cells, tokens, width); ``words``: for each item (words, width).
    """
    count = image.shape[1]
    max_pooled, in_target = np.zeros(image.shape[:2]), np.zeros(image.shape[:2])
    seen = cells.of >= 0
    for item, (canvases, caption) in enumerate(zip(image, words, strict=True)):
        unit = torch.nn.functional.normalize
        cosine = torch.einsum("ctw,vw->ctv", unit(canvases, dim=-1), unit(caption.float(), dim=-1))
        best, _ = cosine[:, seen].max(1)
        max_pooled[item] = best.mean(-1).numpy()
        where = cells.of[seen][cosine[:, seen].mean(-1).argmax(1)]
        in_target[item] = (where == torch.arange(count)).numpy()
    return {"max_pooled": max_pooled, "in_target": in_target}


def study(
    anatomy: Anatomy,
    forward: Forward,
    probe: Probe,
    items: Sequence[Item],
    cells: Cells,
    clusters: NDArray[np.int64],
    settings: Settings,
    step: Callable[[], None],
) -> dict[str, Any]:
    """Everything of this module, as it stands in ``origin.json``. ``clusters``: of each of ``items``, from 0 on;
    ``step`` is called after each item.
    """
    found = read(anatomy, forward, probe, items, cells, step)
    readable: dict[str, Any] = {}
    for name, classes in labels(probe, items).items():
        chance = float(np.bincount(classes).max() / len(classes))
        told = {"classes": int(classes.max()) + 1, "chance": chance, "held_out": held_out(classes)}
        readable[name] = {**told, "layers": []}
        for layer, states in zip(found.layers, found.states, strict=True):
            right = probes(states, classes, settings.seed)
            whole = {kind: values for kind, values in right.items() if np.isfinite(values).all()}
            kept = {kind: _accuracy(values, clusters, settings) for kind, values in whole.items()}
            readable[name]["layers"].append({"layer": layer, **kept})
    return {
        "items": len(items),
        "probes": readable,
        "invariance": None if found.tokens is None else invariance(found.tokens),
        "similarity": None
        if found.image is None
        else _alike(anatomy, forward, items, found.image, cells, clusters, settings),
    }


def _alike(
    anatomy: Anatomy,
    forward: Forward,
    items: Sequence[Item],
    image: Tensor,
    cells: Cells,
    clusters: NDArray[np.int64],
    settings: Settings,
) -> dict[str, Any]:
    embed = anatomy.model.get_input_embeddings()
    tokenizer = forward.prompts.processor.tokenizer
    ids = [tokenizer(item.caption, add_special_tokens=False)["input_ids"] for item in items]
    words = [embed(torch.tensor(row, device=forward.device)).detach().float().cpu() for row in ids]
    alike = similarity(image, words, cells)
    return {
        "max_pooled": alike["max_pooled"].mean(0).tolist(),
        "in_target": _accuracy(alike["in_target"], clusters, settings),
        "chance": 1 / image.shape[1],
    }


def _accuracy(right: Array, clusters: NDArray[np.int64], settings: Settings) -> dict[str, Any]:
    """Per cell with interval, and a test whether the cells differ. ``right``: (items, cells) of 0 and 1; ``clusters``:
    of each item.
    """
    found = intervals.bootstrap(
        lambda weights: {
            **dict(enumerate(rates.mean(right[..., None], weights).T)),
            "spread": rates.corrected_variance(right[..., None], weights),
        },
        len(right),
        resamples=settings.resamples,
        level=settings.level,
        seed=settings.seed,
        clusters=clusters,
    )
    return {
        "cells": [found[cell] for cell in range(right.shape[1])],
        "mean": float(right.mean()),
        "variance": found["spread"],
        "test": place_test(right[..., None], settings.seed, clusters),
    }
