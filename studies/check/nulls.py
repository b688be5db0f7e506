"""Models without a bias: ``reference:uniform`` with noise on its weights, each checked on its own probe."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bapa.check import Check, check, load_check
from bapa.checkpoints import Loaded, load

NOISE = 0.01  # standard deviation of what is added to a weight, as a share of its tensor's own
FIRST = 21  # seeds before it settled the rule of the interval
ITEMS = 60  # the fewest that bapa check takes by itself


def checked(seed: int, work: Path) -> Check:
    """The check of the null model with this ``seed``, which is the probe's too."""
    out = work / f"null-{seed}"
    return load_check(out) if (out / "check.json").is_file() else check(null(seed), out, items=ITEMS, seed=seed)


def null(seed: int) -> Loaded:
    """``reference:uniform`` with noise on every floating-point weight."""
    loaded = load("reference:uniform", device="cpu")
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            spread = weight.std() if weight.numel() > 1 else weight.abs()
            weight.add_(torch.randn(weight.shape, generator=draw) * NOISE * spread)
    return Loaded(loaded.model, loaded.processor, f"null-{seed}", f"{loaded.fingerprint}-noise-{NOISE}-{seed}")


def row(seed: int, found: Check) -> dict[str, Any]:
    """What was decided about one null model, and on what."""
    if found.decision is None:
        raise ValueError(f"the check of null model {seed} is not finished")
    native = found.evidence.native
    return {
        "seed": seed,
        "kind": found.decision.kind,
        "reason": found.decision.reason,
        "mean": native.mean.value,
        "range": vars(native.range),
        "p": found.evidence.p,
        "estimate": asdict(found.estimate) if found.estimate else None,
        "took": found.took,
    }
