"""Which row the hidden states still tell under a rule: a linear probe on the token that answers, layer by layer.

Where one reads the row and the model's own answer is wrong, the row is there and not used. That none reads it says that
no linear layer could, not that nothing is left.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from bapa.attach import balanced
from bapa.checkpoints import Loaded
from bapa.families.anatomy import find
from bapa.inference.backend import fitting_plan, prompts_of
from bapa.inference.forward import Forward
from bapa.inference.hf import ModelAsker, ModelBackend
from bapa.probe import Design, build
from studies.where.rules import LEADS

ITEMS, BATCH, FOLDS, SEED = 48, 36, 6, 391


def left(model: Loaded, work: Path) -> dict[str, Any]:
    """For each rule the share of canvases whose row a linear probe reads on items it was not fitted on, by layer, and
    the share that the model answers right. It takes seconds, so nothing is kept between runs.
    """
    probe = build("digits", work / f"left-{ITEMS}", Design(task="where", lines=("row",), items=ITEMS, seed=SEED))
    backend, prompts = ModelBackend(model), prompts_of(model, probe)
    plan = fitting_plan(model.name, backend.config, probe, prompts, ITEMS, BATCH)
    made = Forward(model.model, prompts, 0)
    asker = ModelAsker(made, probe, plan, LEADS, generate=0, audit=0)
    layers = find(model.model).layers
    states: dict[str, list[list[NDArray[np.float32]]]] = {rule: [[] for _ in layers] for rule in LEADS}
    right: dict[str, list[bool]] = {rule: [] for rule in LEADS}
    rows, items = [], []
    for number in range(len(plan)):
        block = plan.block(number)
        prepared = asker.prepare(block)
        if isinstance(prepared, Exception):
            raise prepared
        rows += [canvas.cell // probe.design.cols for canvas in block]
        items += [canvas.index for canvas in block]
        seen = made.see(prepared.asked)
        for rule in LEADS:
            with balanced(model.model, rule), _Watched(layers) as watched:
                logits = made.logits(seen)
            for layer, told in enumerate(watched.last):
                states[rule][layer].append(told)
            asked = [questions[0] for questions in prepared.questions]
            right[rule] += [bool(one.correct) for one in asker.answers.read(logits[:, 0], asked)]
    label, group = np.array(rows), np.array(items)
    return {
        rule: {
            "layers": [_read(np.concatenate(told), label, group) for told in states[rule]],
            "answered": float(np.mean(right[rule])),
        }
        for rule in LEADS
    }


def _read(states: NDArray[np.float32], label: NDArray[Any], group: NDArray[Any]) -> float:
    """How often the label is read from ``states`` of items that a linear probe was not fitted on."""
    reader = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return float(cross_val_score(reader, states, label, groups=group, cv=GroupKFold(FOLDS)).mean())


class _Watched:
    """What each of ``layers`` puts out at the last token, while it is entered: ``last``, (rows, width) a layer."""

    def __init__(self, layers: Any) -> None:
        self.layers = layers
        self.last: list[NDArray[np.float32]] = []

    def __enter__(self) -> _Watched:
        self.hooks = [layer.register_forward_hook(self._keep) for layer in self.layers]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def _keep(self, _: nn.Module, __: Any, out: Tensor | tuple[Tensor, ...]) -> None:
        hidden = out if isinstance(out, Tensor) else out[0]
        self.last.append(hidden[:, -1].float().cpu().numpy())
