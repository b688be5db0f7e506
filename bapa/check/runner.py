"""The steps of a check, each resumable, from a model's name to a decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import bapa
from bapa.attach import balanced
from bapa.calibrate import folder as folders
from bapa.calibrate.pace import peak
from bapa.check import gather
from bapa.check.clock import Clock
from bapa.check.decide import Decision, decide, settled
from bapa.check.estimate import Estimate
from bapa.check.evidence import Evidence
from bapa.check.work import LEAST, Work
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError, RunError, UnsupportedModelError
from bapa.files import RunFolder, command, read_json
from bapa.probe import Columns
from bapa.probe.files import PART
from bapa.schemes import parse

Step = Literal["estimate", "measure", "origin", "calibrate", "keep"]
STEPS_IN_ORDER: tuple[Step, ...] = get_args(Step)
RECORD, TOOK = "check.json", "took.json"
TASKS = ("match", "name")
BUDGET = 1200.0  # seconds
# What stands there before the work counts as begun; the probe has another name while it is built.
MADE = ("warm-up", "probe", f".probe{PART}", "run", "check.html")


@dataclass(frozen=True)
class Check:
    """A check as far as it went. ``decision`` is None where ``until`` stopped it before one could be made.

    ``path``: the folder: ``probe``, ``run`` (with ``origin``), ``guards``, ``calibrated`` and ``kept`` (the searches),
    and ``model``, which carries the rule of the decision. ``took``: seconds by step; None where a command was killed
    within one. ``memory``: bytes at the peak of the command that finished it.
    """

    path: Path
    evidence: Evidence
    decision: Decision | None
    estimate: Estimate | None
    took: Mapping[str, float] | None = None
    memory: int | None = None

    @property
    def model_folder(self) -> Path | None:
        """The model under the rule of the decision; None where the decision is another."""
        return self.path / "model" if self.decision and self.decision.rule else None


def check(
    model: Loaded,
    out: str | Path,
    *,
    pictures: str = "digits",
    task: str = "match",
    columns: Columns | None = None,
    split: str = "train",
    budget: float = BUDGET,
    items: int | None = None,
    until: Step | None = None,
    batch_size: int = 18,
    seed: int = 0,
    tell: Callable[[Estimate], None] = lambda _: None,
) -> Check:
    """Find out whether ``model`` is biased, why, and what to do about it.

    Repeated after an interruption, it goes on where it was; nothing is asked twice.

    Args:
        model: from :func:`bapa.checkpoints.load`.
        out: folder of everything: new, empty, or holding this check.
        pictures: source of the probe, as for :func:`bapa.probe.build`; digits need no pictures.
        task: what is asked: ``match``, by yes and no, or ``name``, what the model sees, for models that are not made to
            answer questions.
        columns: which columns of the source hold what.
        split: split of a data set.
        budget: seconds that it may take, which decides how many items are asked about.
        items: that judge, whatever the budget says.
        until: the last step to take.
        batch_size: canvases per forward.
        seed: of the probe.
        tell: gets the estimate before the work starts.

    Raises:
        ConfigError: an option out of range, or too small a budget.
        ModelError: a model that cannot be asked.
        RunError: ``out`` holds something else, or another process writes to it.
    """
    config = {
        "model": model.identity,
        "probe": {
            "source": pictures,
            "split": split,
            "columns": asdict(columns or Columns()),
            "seed": seed,
            **({} if task == "match" else {"task": task}),  # checks made before there was another go on
        },
        "run": {"budget": budget, "items": items, "batch_size": batch_size},
    }
    if task not in TASKS:
        raise ConfigError(f"task = {task!r}: accepted are {', '.join(TASKS)}")
    if until is not None and until not in STEPS_IN_ORDER:
        raise ConfigError(f"until = {until!r}: accepted are {', '.join(STEPS_IN_ORDER)}")
    if model.chat.thinking:
        raise ConfigError(
            "a check reads its answers from the next token, so the model answers without thinking: leave --thinking on "
            "out; with thoughts: bapa measure MODEL --probe PROBE --thinking on --generate 512 --out RUN"
        )
    if items is not None and items < LEAST:
        raise ConfigError(f"items = {items}: use {LEAST} or more")
    with RunFolder(out, config, kind="check", record=RECORD, work="run/*", made=MADE, kept=(TOOK,)) as folder:
        if folder.open() is not None:
            return load_check(out)
        try:
            with balanced(model.model, "bapa"):
                pass
        except UnsupportedModelError as error:
            return _sealed(folder, model, Evidence(model.name, refusal=str(error)))
        work = Work(model, folder.path, pictures, task, columns, split, batch_size, seed).addressed()
        found = work.estimate(budget, items)
        tell(found)
        evidence, clock = Evidence(model.name), Clock(folder.progress / TOOK)
        for step in STEPS_IN_ORDER[1:]:
            if until is not None and STEPS_IN_ORDER.index(step) > STEPS_IN_ORDER.index(until):
                return Check(folder.path, evidence, None, found)
            with clock.step(step):
                evidence = getattr(work, step)(evidence, found)
            if settled(evidence):
                break
        return _sealed(folder, model, evidence, found, clock)


def load_check(path: str | Path) -> Check:
    """The finished check in a folder.

    Raises RunError where there is none.
    """
    path = Path(path)
    if not (path / RECORD).is_file():
        raise RunError(f"no finished check in {path}; make it: bapa check MODEL --out {path}")
    found = read_json(path / RECORD, "evidence", "estimate")
    evidence = gather.evidence(found["evidence"])
    told = found["estimate"]
    estimate = Estimate(**told) if told else None
    return Check(path, evidence, decide(evidence), estimate, found.get("took"), found.get("memory"))


def _sealed(
    folder: RunFolder, model: Loaded, evidence: Evidence, found: Estimate | None = None, clock: Clock | None = None
) -> Check:
    decision = decide(evidence)
    if decision.rule:  # not always the one that the search picked
        folders.write(model, parse(decision.rule), folder.path / "model")
    folder.seal(
        {
            "command": command(),
            "bapa": bapa.__version__,
            "evidence": asdict(evidence),
            "estimate": asdict(found) if found else None,
            "took": clock.seconds if clock and not clock.cut_off else None,
            "memory": peak(),
            "decision": {"kind": decision.kind, "reason": decision.reason, "rule": decision.rule},
        }
    )
    return load_check(folder.path)
