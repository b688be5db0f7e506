"""A model, a probe, and the answers under every intervention."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bapa.attach import balanced
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError, ModelError, SchemeError
from bapa.families.anatomy import find
from bapa.inference import store as stores
from bapa.inference.asking import ask
from bapa.inference.backend import check_choices, fitting_plan, item_count, prompts_of
from bapa.inference.forward import Forward
from bapa.inference.hf import forward
from bapa.inference.plan import Plan
from bapa.inference.prompts import Prompts
from bapa.inference.store import Store
from bapa.origin import attribution, geometry
from bapa.origin.attribution import Answers
from bapa.origin.moves import MOVES, Condition, Mover, conditions
from bapa.origin.options import FOLDER, VERSION, Options
from bapa.origin.order import Turned
from bapa.probe import Probe


class Study:
    """A model, a probe and where the answers go."""

    def __init__(self, model: Loaded, probe: Probe, out: Path, options: Options) -> None:
        self.model, self.probe, self.out, self.options = model, probe, out, options
        self.items = item_count(probe, options.items)
        if options.draws < 1 or options.batch_size < 1:
            raise ConfigError("draws and batch_size must be 1 or more")
        check_choices(model.processor, probe, "they have no margin; use match, choice or where")
        self.left_out: dict[str, str] = {}
        self.anatomy = find(model.model)
        self.size = (probe.height, probe.width)
        self.question_first = probe.design.order == "question-first"
        self.prompts = prompts_of(model, probe)
        self.text = probe.questions(probe.items[0], 0)[0].text
        self.places: torch.Tensor | None = None  # where each image token looks; None where that is not known
        self.cells = self._cells()
        self.wanted = self._conditions()
        self.planned = self.plan(self.prompts)
        self.forward = self._forward(self.prompts, self.planned)

    def ask(self) -> pd.DataFrame:
        """The answers under every condition, one row per item, cell, question and condition, with what items have in
        common (:func:`~bapa.inference.store.with_units`).
        """
        return self._asked(self.forward, self.planned, self.wanted, "answers")

    def text_first(self) -> dict[str, Any] | None:
        """The native map with question and image in the other order; None where the prompt cannot be turned."""
        try:
            rows = self.ask_turned()
        except ModelError as error:
            self.left_out["text before or after the image"] = str(error)
            return None
        settings = self.options.statistics
        answers = Answers.read(rows, self.probe.cells, [Condition()], 1, settings.cluster)
        found = attribution.left_by_rules(answers, "hit", settings)["native"]
        return {
            "order": "image-first" if self.question_first else "question-first",
            "map": np.nanmean(answers.response("hit", "native"), 0).tolist(),
            "spread": answers.differ("hit", settings.seed),
            **{name: found[name] for name in ("auc", "hit")},
        }

    def ask_turned(self) -> pd.DataFrame:
        """The native answers with question and image in the other order.

        Raises ModelError where the prompt cannot be turned.
        """
        turned = Turned(
            self.model.processor,
            self.size,
            question_first=not self.question_first,
            slots=self.probe.slots,
            chat=self.prompts.chat,
        )
        planned = self.plan(turned)
        return self._asked(self._forward(turned, planned), planned, [Condition()], "text-first")

    def plan(self, prompts: Prompts) -> Plan:
        """Batches of whole items, so that features can go from one canvas of an item to another."""
        whole = max(1, self.options.batch_size // self.probe.cells) * self.probe.cells
        return fitting_plan(self.model.name, self.anatomy.model.config, self.probe, prompts, self.items, whole)

    def _forward(self, prompts: Prompts, planned: Plan) -> Forward:
        return forward(self.model.model, prompts, self.probe, planned, ["native"])

    def _asked(self, forward: Forward, planned: Plan, wanted: Sequence[Condition], name: str) -> pd.DataFrame:
        config = {
            "model": self.model.identity,
            "probe": {"fingerprint": self.probe.fingerprint, "items": self.items},
            "conditions": [condition.label for condition in wanted],
            "run": {"batch_size": self.options.batch_size, "draws": self.options.draws},
        }
        with closing(Store(self.out / FOLDER / name, config)) as store:
            if store.open() is None:
                mover = Mover(forward, self.probe, planned, wanted, self.options.draws, self.cells.blocks)
                ask(mover, store, "interventions")
                table = stores.table(store.blocks())
                store.seal_answers(table, {"version": VERSION}, {"conditions": mover.labels})
            return stores.with_units(store.answers(), self.probe).to_pandas()

    def _cells(self) -> geometry.Cells:
        try:
            self.places = geometry.trace(self.anatomy, self.prompts, self.size, self.text)
        except ModelError as error:
            self.left_out["moves"] = str(error)
            return geometry.Cells(torch.empty(0, dtype=torch.long), None, str(error))
        found = geometry.cells(self.places, self.probe.rows, self.probe.cols)
        if found.reason:
            self.left_out["moves"] = found.reason
        return found

    def _conditions(self) -> list[Condition]:
        rules = []
        for rule in self.options.rules:
            try:
                with balanced(self.model.model, rule):
                    rules.append(rule)
            except SchemeError as error:
                self.left_out[rule] = str(error)
        if "native" not in rules:
            raise ConfigError("rules: native must be among them; everything is compared with it")
        wanted = conditions(rules, self.options.draws)
        return wanted if self.cells.blocks is not None else [c for c in wanted if c.move not in MOVES]
