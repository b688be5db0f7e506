"""Asking the items of a probe under many candidates: one encoding of the pictures for all candidates of a round."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from copy import copy
from pathlib import Path
from typing import Any

import pandas as pd

from bapa.checkpoints import Loaded
from bapa.inference import store as stores
from bapa.inference.asking import ask
from bapa.inference.backend import fitting_plan, prompts_of
from bapa.inference.hf import ModelAsker, ModelBackend, forward
from bapa.inference.plan import Plan
from bapa.inference.store import Store
from bapa.probe import Probe
from bapa.probe.item import Items


def part(probe: Probe, start: int, stop: int) -> Probe:
    """The same probe with the items from ``start`` up to ``stop`` only."""
    few = copy(probe)
    few.items = probe.items[start:stop]
    few.fingerprint = f"{probe.fingerprint}[{start}:{stop}]"
    return few


def pick(probe: Probe, places: Sequence[int]) -> Probe:
    """The same probe with the items at ``places`` only."""
    cut = copy(probe)
    cut.items = Items(probe.items.table.take(list(places)))
    digest = hashlib.sha256(",".join(map(str, places)).encode()).hexdigest()[:16]
    cut.fingerprint = f"{probe.fingerprint}[{digest}]"
    return cut


class Session:
    """One model and one probe. ``folder``: where the answers of each round are kept; ``batch_size``: canvases per
    forward.
    """

    def __init__(self, model: Loaded, probe: Probe, folder: Path, batch_size: int) -> None:
        self.model, self.probe, self.folder, self.batch_size = model, probe, folder, batch_size
        self.config = ModelBackend(model).config
        self.at_once: int | None = None  # canvases that fit the memory, where those of a batch did not
        self.prompts = prompts_of(model, probe)
        self.forward = forward(model.model, self.prompts, probe, self._plan(probe), ["native", "bapa"])

    def ask(self, name: str, start: int, stop: int, candidates: Sequence[str]) -> pd.DataFrame:
        """The answers to the items from ``start`` up to ``stop`` under ``candidates``, with the columns of
        ``answers.parquet``, so that what counts as one observation does so here too. What the round called ``name``
        has on disk is not asked again.

        Raises RunError where an answer fails, or the folder holds another calibration.
        """
        probe = part(self.probe, start, stop)
        config: Mapping[str, Any] = {
            "model": self.model.answering,
            "probe": {"fingerprint": probe.fingerprint},
            "candidates": list(candidates),
            "batch_size": self.batch_size,
        }
        with closing(Store(self.folder / name, config)) as store:
            store.open()
            asker = self.asker(probe, candidates)
            ask(asker, store, f"{name}, {len(candidates)} candidates")
            self.at_once = asker.at_once
            return stores.with_units(stores.table(store.blocks()), probe).to_pandas()

    def asker(self, probe: Probe, candidates: Sequence[str]) -> ModelAsker:
        """What asks about ``probe``, which is a part of this one, under ``candidates``."""
        made = ModelAsker(self.forward, probe, self._plan(probe), candidates, generate=0, audit=0)
        made.at_once = self.at_once
        return made

    def _plan(self, probe: Probe) -> Plan:
        return fitting_plan(self.model.name, self.config, probe, self.prompts, len(probe.items), self.batch_size)
