"""Side-effect probes in the loss of a fit: what the model answers right natively is to stay right under the rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bapa.calibrate.fit import Batch, batches, following
from bapa.calibrate.guarded import check_guard, guarded, put_to
from bapa.calibrate.session import Session, part
from bapa.calibrate.words.learn import Known
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError
from bapa.inference.backend import check_slots
from bapa.probe import Probe
from bapa.stats import Settings

LEAST, AT_ONCE, EACH = 16, 9, 2  # items of a probe; canvases a batch; batches a step of each probe


def check(model: Loaded, guards: Sequence[Probe]) -> None:
    """Raise ConfigError for a probe that cannot be guarded."""
    for guard in guards:
        guard.needs_questions("a fit learns from the answers to questions")
        guard.needs_choices(
            "a fit learns from the logits of answers",
            "take one with choices (bapa probe SOURCE --task where), and see what the fitted model writes: "
            "bapa measure FITTED --generate 64",
        )
        check_guard(guard)
        check_slots(model.processor, guard)
        if len(guard.items) < LEAST:
            raise ConfigError(
                f"{guard.path} has {len(guard.items)} items, and a side-effect probe of a fit needs {LEAST}: half of "
                "them are in its loss, the others judge it; build it with more: bapa probe SOURCE --items 40"
            )


@dataclass(frozen=True)
class Guards:
    """Questions about the first half of the items of every probe, drawn anew at each step."""

    model: Any
    asked: Sequence[Sequence[Batch]]

    @classmethod
    def of(cls, model: Loaded, guards: Sequence[Probe], home: Path) -> Guards:
        """Those of ``guards``. ``home``: the folder of the fit."""
        sessions = [Session(put_to(model, one), part(one, 0, len(one.items) // 2), home, AT_ONCE) for one in guards]
        with torch.no_grad():
            return cls(model.model, [list(batches(one, len(one.probe.items))) for one in sessions])

    def __call__(self, generator: torch.Generator) -> Sequence[Known]:
        """What is to be known in one step."""
        found: list[Known] = []
        for number, its in enumerate(self.asked):
            drawn = torch.randint(len(its), (EACH,), generator=generator).tolist()
            found += [partial(self._known, str(number), its[one]) for one in drawn]
        return found

    def _known(self, name: str, batch: Batch) -> dict[str, Tensor]:
        return {name: batch.right(following(self.model, batch)).cpu()}


def judged(
    model: Loaded, guards: Sequence[Probe], rules: Sequence[str], home: Path, settings: Settings
) -> list[dict[str, Any]]:
    """What ``rules``, native first, cost on the other half of the items, by probe; answers are kept in ``home``."""
    found = []
    for number, guard in enumerate(guards, start=1):
        others = part(guard, len(guard.items) // 2, len(guard.items))
        found.append(
            guarded(Session(put_to(model, guard), others, home, AT_ONCE), guard, number, rules, settings, others=True)
        )
    return found
