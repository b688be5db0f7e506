"""From a model and a probe to ``origin.json``.

``RUN/origin.json``          everything found, with the verdict
``RUN/origin/answers/``      the answers under every condition: resumable, as a run of :mod:`bapa.measure`
``RUN/origin/text-first/``   the same with the image behind the question
``RUN/origin/*.csv``         tables; ``*.svg`` and ``*.pdf``: figures
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import bapa
from bapa.errors import ConfigError, ModelError, RunError, SchemeError
from bapa.measure import significance
from bapa.measure import store as stores
from bapa.measure.answers import AnswerSet
from bapa.measure.batches import Plan, ahead, plan
from bapa.measure.forward import Forward
from bapa.measure.hf import ModelAsker
from bapa.measure.prompts import Prompts
from bapa.measure.statistics import Settings
from bapa.measure.store import Store, read_json, write_json
from bapa.models import Loaded, balanced
from bapa.models.anatomy import find
from bapa.origin import attribution, geometry, verdict
from bapa.origin.attribution import Answers
from bapa.origin.moves import MOVES, RULES, Condition, Mover, conditions
from bapa.origin.order import Turned
from bapa.origin.progress import progress
from bapa.probe import Probe

VERSION = 1
FILE, FOLDER = "origin.json", "origin"
QUANTITIES = ("hit", "margin")
CONTROLS = 20  # shuffles of the cells that must find nothing


@dataclass(frozen=True)
class Options:
    """``items``: only the first so many. ``batch_size``: canvases per forward, rounded to whole items. ``draws``: how
    often each item makes each move. ``rules``: position rules and masks tried. ``statistics``: bootstrap and level.
    """

    items: int | None = None
    batch_size: int = 18
    draws: int = 2
    rules: tuple[str, ...] = RULES
    statistics: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Origin:
    """What was found. ``found``: what ``origin.json`` holds."""

    path: Path
    found: dict[str, Any]

    @property
    def verdict(self) -> dict[str, Any]:
        """``cause``, ``detail`` and ``sentence``."""
        return dict(self.found["verdict"])


def load_origin(path: str | Path) -> Origin:
    """What :func:`explain` wrote into a run folder.

    Raises RunError where it has not.
    """
    path = Path(path)
    if not (path / FILE).is_file():
        raise RunError(f"no {FILE} in {path}; make it: bapa origin MODEL --probe PROBE --out {path}")
    return Origin(path, read_json(path / FILE))


def explain(model: Loaded, probe: Probe, out: str | Path, options: Options | None = None) -> Origin:
    """Ask ``model`` about ``probe`` under every intervention and say where its spatial bias comes from.

    Repeated after an interruption, it goes on where it was. ``out`` may hold a run of ``bapa measure`` already.

    Raises:
        ConfigError: an option out of range, or a probe whose questions are not yes/no or multiple choice.
        ModelError, UnsupportedModelError: a model that cannot be moved around in.
        RunError: ``out`` holds the answers of something else, or answers failed.
    """
    options = options or Options()
    study = Study(model, probe, Path(out), options)
    folder = study.out / FOLDER
    answers = Answers.read(study.ask(), probe.cells, study.wanted, options.draws)
    found = {
        "version": VERSION,
        "level": options.statistics.level,
        "model": {"name": model.name, "fingerprint": model.fingerprint},
        "probe": {
            "fingerprint": probe.fingerprint,
            "rows": probe.rows,
            "cols": probe.cols,
            "items": study.items,
            "source": probe.source["name"],
            "path": str(probe.path),
        },
        "versions": {"bapa": bapa.__version__, "python": platform.python_version(), "torch": version("torch")},
        "options": asdict(options),
        "not_done": study.left_out,
        **_causes(answers, options.statistics),
        "text_first": study.text_first(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(study.out / FILE, found)
    return Origin(study.out, found)


def _causes(answers: Answers, settings: Settings) -> dict[str, Any]:
    """The attribution, its control, and the verdict."""
    spread = significance.range_within_items(answers.trials["native"].hits, settings.seed)
    shares = {quantity: attribution.shares(answers, quantity, "features", settings) for quantity in QUANTITIES}
    patched = {quantity: attribution.shares(answers, quantity, "patch", settings) for quantity in QUANTITIES}
    return {
        "verdict": verdict.agree(
            verdict.decide(shares["hit"], spread, settings.level),
            verdict.decide(patched["hit"], spread, settings.level),
        ),
        "spread": spread,
        "map": {
            quantity: np.nanmean(answers.response(quantity, "native"), 0).tolist() for quantity in QUANTITIES
        },
        "attribution": shares,
        "attribution_by_patching": patched,
        "rules": {quantity: attribution.left_by_rules(answers, quantity, settings) for quantity in QUANTITIES},
        "control": _control(answers, settings),
    }


def _control(answers: Answers, settings: Settings) -> dict[str, Any]:
    """The verdicts on the same answers with the cells of every item shuffled: nothing may be found."""
    rng = np.random.default_rng(settings.seed)
    quick = Settings(min(settings.resamples, 200), settings.level, settings.seed)
    causes = []
    for _ in range(CONTROLS):
        mixed = answers.shuffled(rng)
        spread = significance.range_within_items(mixed.trials["native"].hits, settings.seed)
        causes.append(verdict.decide(attribution.shares(mixed, "hit", "features", quick), spread, settings.level)["cause"])
    attributed = sum(cause not in ("none", "unknown") for cause in causes)
    return {"shuffles": CONTROLS, "attributed": attributed, "causes": causes}


class Study:
    """A model, a probe and where the answers go."""

    def __init__(self, model: Loaded, probe: Probe, out: Path, options: Options) -> None:
        self.model, self.probe, self.out, self.options = model, probe, out, options
        self.items = len(probe.items) if options.items is None else options.items
        if not 1 <= self.items <= len(probe.items):
            raise ConfigError(f"items = {self.items}: the probe has {len(probe.items)}; use 1 to {len(probe.items)}")
        if options.draws < 1 or options.batch_size < 1:
            raise ConfigError("draws and batch_size must be 1 or more")
        answers = AnswerSet(model.processor.tokenizer)
        for question in probe.questions(probe.items[0], 0):
            if not question.choices:
                raise ConfigError("this probe asks for free answers, which have no margin; use match, choice or where")
            answers.tokens(question.choices)
        self.left_out: dict[str, str] = {}
        self.anatomy = find(model.model)
        self.size = (probe.height, probe.width)
        self.question_first = probe.design.order == "question-first"
        self.prompts = Prompts(model.processor, self.size, question_first=self.question_first)
        self.text = probe.questions(probe.items[0], 0)[0].text
        self.cells = self._cells()
        self.wanted = self._conditions()

    def ask(self) -> pd.DataFrame:
        """The answers under every condition, one row per item, cell, question and condition."""
        return self._asked(self.prompts, self.wanted, "answers")

    def text_first(self) -> dict[str, Any] | None:
        """The native map with question and image in the other order; None where the prompt cannot be turned."""
        turned = Turned(self.model.processor, self.size, question_first=not self.question_first)
        only = [Condition()]
        try:
            answers = Answers.read(self._asked(turned, only, "text-first"), self.probe.cells, only, 1)
        except ModelError as error:
            self.left_out["text before or after the image"] = str(error)
            return None
        settings = self.options.statistics
        found = attribution.left_by_rules(answers, "hit", settings)["native"]
        return {
            "order": "image-first" if self.question_first else "question-first",
            "map": np.nanmean(answers.response("hit", "native"), 0).tolist(),
            "spread": significance.range_within_items(answers.trials["native"].hits, settings.seed),
            **{name: found[name] for name in ("auc", "hit")},
        }

    def plan(self, prompts: Prompts) -> Plan:
        """Batches of whole items, so that features can go from one canvas of an item to another."""
        whole = max(1, self.options.batch_size // self.probe.cells) * self.probe.cells
        return plan(self.probe, prompts, self.items, whole)

    def forward(self, prompts: Prompts, cut: Plan) -> Forward:
        """The model's forward; the questions of a canvas share its prefill where that changes nothing."""
        forward = Forward(self.model.model, prompts, cut.shared)
        if forward.shared and not ModelAsker(
            forward, self.probe, cut, ["native"], generate=0, audit=0
        ).sharing_holds():
            forward.shared = 0
        return forward

    def _asked(self, prompts: Prompts, wanted: Sequence[Condition], name: str) -> pd.DataFrame:
        config = {
            "model": {"name": self.model.name, "fingerprint": self.model.fingerprint},
            "probe": {"fingerprint": self.probe.fingerprint, "items": self.items},
            "conditions": [condition.label for condition in wanted],
            "run": {"batch_size": self.options.batch_size, "draws": self.options.draws},
        }
        cut = self.plan(prompts)
        with closing(Store(self.out / FOLDER / name, config)) as store:
            if store.open():
                mover = Mover(
                    self.forward(prompts, cut), self.probe, cut, wanted, self.options.draws, self.cells.blocks
                )
                self._answer(mover, store)
        return pd.read_parquet(self.out / FOLDER / name / stores.ANSWERS)

    def _answer(self, mover: Mover, store: Store) -> None:
        done = {number for number, block in store.blocks().items() if not stores.errors(block)}
        store.mend()
        todo = [number for number in range(len(mover.cut)) if number not in done]
        with progress("interventions", len(mover.cut), len(done)) as advance:
            for number, prepared in ahead(lambda number: mover.prepare(mover.cut.block(number)), todo):
                block = mover.ask(number, prepared)
                if failed := stores.errors(block):
                    raise RunError(f"{len(failed)} answers failed, the first: {failed[0]}; run the same command again")
                store.append(block)
                advance()
        store.seal(stores.table(store.blocks()), {"version": VERSION}, {"conditions": mover.labels})

    def _cells(self) -> geometry.Cells:
        try:
            places = geometry.trace(self.anatomy, self.prompts, self.size, self.text)
        except ModelError as error:
            self.left_out["moves"] = str(error)
            return geometry.Cells(torch.empty(0, dtype=torch.long), None, str(error))
        found = geometry.cells(places, self.probe.rows, self.probe.cols)
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
