"""The steps of a check, each resumable, from a model's name to a decision."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import bapa
from bapa.attach import balanced
from bapa.calibrate import calibrate
from bapa.calibrate import folder as folders
from bapa.calibrate.apart import split
from bapa.calibrate.pace import WARM as MEASURED
from bapa.calibrate.pace import peak
from bapa.calibrate.session import pick
from bapa.check import estimate as pacing
from bapa.check import gather
from bapa.check.clock import Clock
from bapa.check.decide import Decision, decide, settled
from bapa.check.design import alike, shaped
from bapa.check.estimate import GUARDS, PICK, STEPS, TRACED, WARM, Estimate, WarmUp
from bapa.check.evidence import Evidence
from bapa.checkpoints import Loaded
from bapa.checkpoints.chat import Chat
from bapa.errors import ConfigError, ProbeError, RunError, UnsupportedModelError
from bapa.files import RunFolder, command, read_json, write_json
from bapa.inference.opening import addressed
from bapa.measure import Run, measure
from bapa.origin import Options, explain
from bapa.probe import Columns, Probe, build
from bapa.schemes import parse

Step = Literal["estimate", "measure", "origin", "calibrate"]
STEPS_IN_ORDER: tuple[Step, ...] = get_args(Step)
RECORD = "check.json"
BUDGET = 1200.0  # seconds
LEAST = 8  # items that judge; so few only try the steps out
BESIDE = ("warm-up", "probe", "check.html")  # may stand there before the work begins


@dataclass(frozen=True)
class Check:
    """A check as far as it went. ``decision`` is None where ``until`` stopped it before one could be made.

    ``path``: the folder: ``probe``, ``run`` (with ``origin``), ``guards``, ``calibrated`` (the search), and ``model``,
    which carries the rule of the decision. ``took``: seconds by step; None where a command was killed within one.
    """

    path: Path
    evidence: Evidence
    decision: Decision | None
    estimate: Estimate | None
    took: Mapping[str, float] | None = None

    @property
    def model_folder(self) -> Path | None:
        """The model under the rule of the decision; None where the decision is another."""
        return self.path / "model" if self.decision and self.decision.rule else None


def check(
    model: Loaded,
    out: str | Path,
    *,
    pictures: str = "digits",
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
        "probe": {"source": pictures, "split": split, "columns": asdict(columns or Columns()), "seed": seed},
        "run": {"budget": budget, "items": items, "batch_size": batch_size},
    }
    if until is not None and until not in STEPS_IN_ORDER:
        raise ConfigError(f"until = {until!r}: accepted are {', '.join(STEPS_IN_ORDER)}")
    if model.chat.thinking:
        raise ConfigError(
            "a check reads its answers from the next token, so the model answers without thinking: leave --thinking on "
            "out; with thoughts: bapa measure MODEL --probe PROBE --thinking on --generate 512 --out RUN"
        )
    if items is not None and items < LEAST:
        raise ConfigError(f"items = {items}: use {LEAST} or more")
    with RunFolder(out, config, kind="check", record=RECORD, work="run/*", beside=BESIDE) as folder:
        if folder.open() is not None:
            return load_check(out)
        try:
            with balanced(model.model, "bapa"):
                pass
        except UnsupportedModelError as error:
            return _sealed(folder, Evidence(model.name, refusal=str(error)))
        work = Work(model, folder.path, pictures, columns, split, batch_size, seed).addressed()
        found = work.estimate(budget, items)
        tell(found)
        evidence, clock = Evidence(model.name), Clock(folder.progress / "took.json")
        for step in STEPS_IN_ORDER[1:]:
            if until is not None and STEPS_IN_ORDER.index(step) > STEPS_IN_ORDER.index(until):
                return Check(folder.path, evidence, None, found)
            with clock.step(step):
                evidence = getattr(work, step)(evidence, found)
            if settled(evidence):
                break
        return _sealed(folder, evidence, found, clock)


def load_check(path: str | Path) -> Check:
    """The finished check in a folder.

    Raises RunError where there is none.
    """
    path = Path(path)
    if not (path / RECORD).is_file():
        raise RunError(f"no finished check in {path}; make it: bapa check MODEL --out {path}")
    found = read_json(path / RECORD)
    evidence = gather.evidence(found["evidence"])
    told = found["estimate"]
    return Check(path, evidence, decide(evidence), Estimate(**told) if told else None, found.get("took"))


def _sealed(folder: RunFolder, evidence: Evidence, found: Estimate | None = None, clock: Clock | None = None) -> Check:
    decision = decide(evidence)
    if decision.rule:  # not always the one that the search picked
        folders.write(evidence.model, parse(decision.rule), folder.path / "model")
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


@dataclass(frozen=True)
class Work:
    """The steps of one check, each of which resumes by itself."""

    model: Loaded
    path: Path
    pictures: str
    columns: Columns | None
    split: str
    batch_size: int
    seed: int

    def addressed(self) -> Work:
        """The same with the model addressed so that its answer is the next token."""
        there = self.path / "warm-up"
        kept, asked = there / "chat.json", self.asked()
        if not kept.is_file() or read_json(kept)["asked"] != asked:
            shutil.rmtree(there, ignore_errors=True)  # of a command that was mistyped, or cut off
            few = self._probe("warm-up/probe", WARM)
            if len(few.items) < WARM:
                raise self._too_few(len(few.items))
            write_json(kept, {"asked": asked, "chat": asdict(addressed(self.model, few))})
        return replace(self, model=replace(self.model, chat=Chat(**read_json(kept)["chat"])))

    def estimate(self, budget: float, items: int | None) -> Estimate:
        """From a warm-up on this machine, which is timed once."""
        there = self.path / "warm-up"
        kept = there / "pace.json"
        if not kept.is_file():
            shutil.rmtree(there / "rounds", ignore_errors=True)  # of a warm-up that was cut off
            few = self._probe("warm-up/probe", WARM)
            write_json(kept, asdict(pacing.warm_up(self.model, few, there / "rounds", self.batch_size)))
        told = WarmUp.read(read_json(kept))
        return pacing.fitted(told, budget) if items is None else pacing.estimate(told, items)

    def asked(self) -> dict[str, Any]:
        """What decides the pace."""
        columns = asdict(self.columns or Columns())
        source = {"source": self.pictures, "split": self.split, "columns": columns, "seed": self.seed}
        return {"model": self.model.answering, "batch_size": self.batch_size, **source}

    def measure(self, evidence: Evidence, found: Estimate) -> Evidence:
        """Native, the noise floor of the arithmetic, and the paper's rule on the items that judge."""
        if not (self.path / "run").exists():  # of another budget, perhaps
            shutil.rmtree(self.path / "probe", ignore_errors=True)
        run = self._measured(found)
        mass, wanted = gather.mass(run.bias)
        return Evidence(
            evidence.model,
            mass=mass,
            wanted=wanted,
            p=gather.p_of_native(run.bias),
            arms=gather.arms(run.bias, ["bapa"]),
            items=run.bias["probe"]["items"],
        )

    def origin(self, evidence: Evidence, found: Estimate) -> Evidence:
        """Where the spread comes from."""
        options = Options(items=min(found.items, TRACED), batch_size=self.batch_size, rules=("native",), parts=())
        told = explain(self.model, self._judges(found), self.path / "run", options)
        return replace(evidence, cause=gather.cause(told.verdict))

    def calibrate(self, evidence: Evidence, found: Estimate) -> Evidence:
        """The rule that suits the model, what it costs, and both on the items that judge."""
        probe = self._whole(found)
        guards, unasked = self._guards(probe)
        told = calibrate(
            self.model,
            probe,
            self.path / "calibrated",
            items=PICK,
            held_out=self._judging(probe, found),
            guards=guards,
            steps=STEPS,
            batch_size=self.batch_size,
            judged_in=self.path / "run",
        )
        run = self._measured(found, told.chosen)
        labels = list(dict.fromkeys(["bapa", told.chosen]))
        return replace(
            evidence,
            arms=gather.arms(run.bias, [label for label in labels if label != "native"]),
            guards=gather.guards(told.guards),
            unasked=unasked,
        )

    def _measured(self, found: Estimate, *more: str) -> Run:
        labels = list(dict.fromkeys([*MEASURED, *more]))
        return measure(self.model, self._judges(found), labels, self.path / "run", batch_size=self.batch_size)

    def _whole(self, found: Estimate) -> Probe:
        return self._probe("probe", PICK + 2 * found.items)  # so many that those that judge can be apart

    def _judges(self, found: Estimate) -> Probe:
        whole = self._whole(found)
        return pick(whole, split(whole, PICK, self._judging(whole, found)).judging)

    def _judging(self, whole: Probe, found: Estimate) -> int:
        """How many items judge: as estimated, or what a small source leaves.

        Raises ConfigError where that is too little.
        """
        there = len(whole.items)
        if there < PICK + LEAST:
            raise self._too_few(there)
        return min(found.items, there - PICK)

    def _too_few(self, there: int) -> ConfigError:
        return ConfigError(
            f"{self.pictures} has {there} usable pictures with captions of their own; a check needs "
            f"{PICK + LEAST}: {PICK} pick the rule, the others judge it"
        )

    def _probe(self, name: str, items: int) -> Probe:
        """A probe of ``items`` items that fits the model; of as many as there are where the source has fewer."""
        out = self.path / name
        if (out / "probe.json").is_file():
            return Probe.load(out)
        try:
            return self._built(out, items)
        except ProbeError:  # too few pictures: what is there must do, or the error says what is wrong with it
            return self._built(out, None)

    def _built(self, out: Path, items: int | None) -> Probe:
        design = shaped(self.model, {"seed": self.seed, "items": items})
        return build(self.pictures, out, design, columns=self.columns, split=self.split)

    def _guards(self, probe: Probe) -> tuple[list[Probe], dict[str, str]]:
        """Questions that only positions can answer, about canvases like those of ``probe``; and by task, why it cannot
        be asked where the pictures do not allow it.
        """
        found, unasked = [], {}
        for task in GUARDS:
            design = alike(probe.design, task, min(PICK, len(probe.items)), self.seed + 1)
            try:
                found.append(
                    build(self.pictures, self.path / "guards" / task, design, columns=self.columns, split=self.split)
                )
            except ProbeError as error:
                unasked[task] = str(error)
        return found, unasked
