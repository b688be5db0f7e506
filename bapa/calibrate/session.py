"""Asking the items of a probe under many dials: one encoding of the pictures for all dials of a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from copy import copy
from pathlib import Path
from typing import Any

import pandas as pd

from bapa.checkpoints import Loaded
from bapa.errors import RunError
from bapa.inference import store as stores
from bapa.inference.forward import Forward
from bapa.inference.hf import ModelAsker
from bapa.inference.plan import ahead, plan
from bapa.inference.prompts import Prompts
from bapa.inference.store import Store
from bapa.probe import Probe


def part(probe: Probe, start: int, stop: int) -> Probe:
    """The same probe with the items from ``start`` up to ``stop`` only."""
    cut = copy(probe)
    cut.items = probe.items[start:stop]
    cut.fingerprint = f"{probe.fingerprint}[{start}:{stop}]"
    return cut


class Session:
    """One model and one probe. ``folder``: where the answers of each round are kept; ``batch_size``: canvases per
    forward.
    """

    def __init__(self, model: Loaded, probe: Probe, folder: Path, batch_size: int) -> None:
        self.model, self.probe, self.folder, self.batch_size = model, probe, folder, batch_size
        self.prompts = Prompts(
            model.processor, (probe.height, probe.width), question_first=probe.design.order == "question-first"
        )
        whole = plan(probe, self.prompts, len(probe.items), batch_size)
        self.forward = Forward(model.model, self.prompts, whole.shared)
        if whole.shared and not self._asker(probe, ["native", "bapa"]).sharing_holds():
            self.forward.shared = 0

    def ask(self, name: str, start: int, stop: int, dials: Sequence[str]) -> pd.DataFrame:
        """The answers to the items from ``start`` up to ``stop`` under ``dials``, with the columns of
        ``answers.parquet``. What the round called ``name`` has on disk is not asked again.

        Raises RunError where an answer fails, or the folder holds another calibration.
        """
        probe = part(self.probe, start, stop)
        config: Mapping[str, Any] = {
            "model": self.model.fingerprint,
            "probe": probe.fingerprint,
            "dials": list(dials),
            "batch_size": self.batch_size,
        }
        with closing(Store(self.folder / name, config)) as store:
            store.open()
            store.mend()
            asker = self._asker(probe, dials)
            todo = [number for number in range(len(asker.cut)) if number not in store.blocks()]
            for number, prepared in ahead(lambda number: asker.prepare(asker.cut.block(number)), todo):
                block = asker.ask(number, prepared)
                if failed := stores.errors(block):
                    raise RunError(f"{len(failed)} answers failed, the first: {failed[0]}; mend it and run it again")
                store.append(block)
            return stores.table(store.blocks()).to_pandas()

    def _asker(self, probe: Probe, dials: Sequence[str]) -> ModelAsker:
        cut = plan(probe, self.prompts, len(probe.items), self.batch_size)
        return ModelAsker(self.forward, probe, cut, dials, generate=0, audit=0)
