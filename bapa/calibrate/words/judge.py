"""Rules judged on grids of words, or on pictures: how evenly names are read over the cells, and what is known of
neighbours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from bapa.attach import balanced
from bapa.calibrate.words.learn import RELATIONS, above, centred, read_tensors
from bapa.calibrate.words.reader import CELLS, MENTIONS, OPENINGS, Reader
from bapa.files import replacing
from bapa.progress import progress
from bapa.schemes.shares import brief
from bapa.stats import extremes, intervals
from bapa.stats.extremes import Map
from bapa.stats.trials import Array

CHANCE, AT_ONCE = 0.5, 6


def judged(
    reader: Reader,
    rules: Sequence[str],
    grids: int,
    seed: int,
    level: float,
    kept: Path | None = None,
    shown: str = "words",
) -> dict[str, Any]:
    """By rule, native first: ``mean``, ``worst``, ``range`` and ``cells`` of the AUC of names, the ``change`` of worst
    and range from native, and ``known``: by form of the mention and relation the ``auc`` and what is ``kept`` of
    native's beyond chance, None where native's interval reaches chance.

    The grids are of all names and not those of a fit; neighbours are asked of a third. Intervals are over grids.
    ``kept``: the folder where the answers under each rule are kept as they end; ``shown``: what is asked about.
    """
    generator = torch.Generator().manual_seed(seed + 1_000_003)
    drawn = torch.stack([torch.randperm(len(reader.token), generator=generator)[:CELLS] for _ in range(grids)])
    answers = []
    for rule in rules:
        digest = hashlib.sha256(rule.encode()).hexdigest()[:12]
        file = None if kept is None else kept / f"judged-{shown}-{digest}.safetensors"
        if file is not None and file.is_file():
            answers.append(read_tensors(file, "shares", "known"))
            continue
        found = _answered(reader, rule, drawn, drawn[: max(grids // 3, 2)], shown)
        if file is not None:
            with replacing(file) as part:
                save_file(found, part)
        answers.append(found)
    native = _map(answers[0]["shares"].numpy())
    return {
        rule: {
            **_evenness(its["shares"].numpy(), native, level),
            "known": _knowing(its["known"], answers[0]["known"], level),
        }
        for rule, its in zip(rules, answers, strict=True)
    }


def _answered(reader: Reader, rule: str, drawn: Tensor, few: Tensor, shown: str) -> dict[str, Tensor]:
    """``shares``: of each cell of each grid, (grids, 9); ``known``: by form of the mention and relation how often what
    stands so scores above what does not, (forms, relations, few).
    """
    what = f"{shown} under {brief(rule)}"
    with torch.no_grad(), balanced(reader.model, rule), progress(what, len(drawn) + len(few)) as step:
        named = []
        for some in drawn.split(AT_ONCE):
            named.append(reader.naming(reader.drawn(some), OPENINGS))
            for _ in some:
                step()
        shares = torch.stack([_shares(its, drawn) for its in torch.cat(named).unbind(1)]).mean(0)
        known = []
        for grid in few:
            said = [centred(reader.mentioning(grid, form)) for form in MENTIONS]
            known.append([[float(above(one, relation, smooth=False)) for relation in RELATIONS] for one in said])
            step()
    return {"shares": shares, "known": torch.tensor(known, dtype=torch.float64).permute(1, 2, 0).contiguous()}


def _shares(logs: Tensor, drawn: Tensor) -> Tensor:
    """Of each cell of each grid the share of the absent names that score below its name, ties half, (grids, 9). A score
    is the log-probability less the name's mean over the grids that do not show it.
    """
    absent = torch.ones_like(logs, dtype=torch.bool).scatter(1, drawn, False)
    scores = logs - (logs * absent).sum(0) / absent.sum(0).clamp_min(1)
    apart = scores.gather(1, drawn)[:, :, None] - scores[:, None]
    below = (apart.sign() + 1).double() / 2 * absent[:, None]
    return below.sum(-1) / absent.sum(1)[:, None]


def _map(shares: Array) -> Map:
    """``shares``: (grids, 9)."""
    over = np.arange(len(shares))
    first = extremes.halvings(over)
    halves = np.stack([first, ~first], 1).astype(float)
    halved = np.einsum("hsi,ic->hsc", halves, shares) / halves.sum(-1, keepdims=True)
    return Map(shares.mean(0), np.stack([_errors(column) for column in shares.T], -1), halved, len(shares))


def _evenness(shares: Array, native: Map, level: float) -> dict[str, Any]:
    found, whole = _map(shares), shares.mean(1)
    return {
        "mean": intervals.mean(float(whole.mean()), _errors(whole), level),
        "worst": extremes.worst(found, level),
        "range": extremes.range_(found, level),
        "cells": shares.mean(0).round(4).tolist(),
        "change": {
            "worst": extremes.difference(native, found, extremes.picked_worst, level)[0],
            "range": extremes.difference(native, found, extremes.picked_range, level)[0],
        },
    }


def _errors(values: Array) -> Array:
    """How much the mean moves when one of ``values`` is left out, as :class:`bapa.stats.intervals.Sample` has it."""
    count = len(values)
    moved: Array = (values.mean() - values) / (count - 1)
    return np.sqrt((count - 1) / count) * moved


def _knowing(known: Tensor, native: Tensor, level: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (_, form), its, base in zip(MENTIONS, known, native, strict=True):
        found[form] = {}
        for relation, *rows in zip(RELATIONS, its, base, strict=True):
            mine, natively = (row.numpy() - CHANCE for row in rows)
            auc = intervals.mean(float(mine.mean()) + CHANCE, _errors(mine), level)
            there = intervals.mean(float(natively.mean()), _errors(natively), level)["low"]
            kept = None
            if there is not None and there > 0:
                ratio = mine.mean() / natively.mean()
                errors = (_errors(mine) - ratio * _errors(natively)) / natively.mean()
                kept = intervals.mean(float(ratio), errors, level)
            found[form][relation] = {"auc": auc, "kept": kept}
    return found
