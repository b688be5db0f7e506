"""The steps of one check, each of which resumes by itself."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bapa.calibrate import calibrate
from bapa.calibrate.apart import split
from bapa.calibrate.pace import WARM as MEASURED
from bapa.calibrate.promise import refusal
from bapa.calibrate.session import pick
from bapa.check import estimate as pacing
from bapa.check import gather, pointing
from bapa.check.decide import KEEP, ORDERLESS
from bapa.check.design import alike, shaped
from bapa.check.estimate import GUARDS, PICK, STEPS, TRACED, WARM, Estimate, WarmUp
from bapa.check.evidence import Evidence, Guard, Search
from bapa.checkpoints import Loaded
from bapa.checkpoints.chat import Chat
from bapa.errors import ConfigError, ProbeError
from bapa.files import read_json, write_json
from bapa.inference.opening import addressed
from bapa.measure import Run, measure
from bapa.origin import Options, explain
from bapa.probe import Columns, Probe, build

LEAST = 8  # items that judge; so few only try the steps out


@dataclass(frozen=True)
class Work:
    """The steps of one check, each of which resumes by itself."""

    model: Loaded
    path: Path
    pictures: str
    task: str
    columns: Columns | None
    split: str
    batch_size: int
    seed: int

    def addressed(self) -> Work:
        """The same with the model addressed so that its answer is the next token."""
        there = self.path / "warm-up"
        kept, asked = there / "chat.json", self.asked()
        if not kept.is_file() or read_json(kept, "asked", "chat")["asked"] != asked:
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
            few, points = self._probe("warm-up/probe", WARM), self._points()
            write_json(kept, asdict(pacing.warm_up(self.model, few, points, there / "rounds", self.batch_size)))
        told = WarmUp.read(read_json(kept, "pace", "moves", "alone"))
        return pacing.fitted(told, budget) if items is None else pacing.estimate(told, items)

    def asked(self) -> dict[str, Any]:
        """What decides the pace."""
        columns = asdict(self.columns or Columns())
        source = {
            "source": self.pictures,
            "task": self.task,
            "split": self.split,
            "columns": columns,
            "seed": self.seed,
        }
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
        also = self._also(evidence)
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
            also=also,
        )
        run = self._measured(found, told.chosen, *also)
        labels = [label for label in dict.fromkeys(["bapa", told.chosen, *also]) if label != "native"]
        return replace(
            evidence,
            arms=gather.arms(run.bias, labels),
            guards=(*gather.guards(told.guards), *self._pointed(found, labels)),
            unasked=unasked,
        )

    def keep(self, evidence: Evidence, found: Estimate) -> Evidence:
        """The evenest rule that keeps what the guards tell, what it costs on other items of theirs, and both on the
        items that judge.
        """
        probe = self._whole(found)
        guards, _ = self._guards(probe)
        if found.keep is None:
            why = "it did not fit the budget; type a larger --budget and another --out"
            return replace(evidence, search=Search(left_out=why))
        if any(len(guard.items) < PICK + LEAST for guard in guards):
            return replace(evidence, search=Search(left_out=f"{self.pictures} has too few captions for it"))
        told = calibrate(
            self.model,
            probe,
            self.path / "kept",
            items=PICK,
            held_out=self._judging(probe, found),
            guards=guards,
            batch_size=self.batch_size,
            judged_in=self.path / "run",
            keep=KEEP,
        )
        points, rule = told.frontier.points if told.frontier else (), told.chosen
        tried = sum(point.candidate != "native" for point in points)
        before = [arm.label for arm in evidence.arms[1:]]
        if rule in ("native", *before):
            return replace(evidence, search=Search(tried, None if rule == "native" else rule))
        run = self._measured(found, *before, rule)
        asked = (*gather.guards(told.guards), *self._pointed(found, [rule]))
        return replace(
            evidence,
            arms=gather.arms(run.bias, [*before, rule]),
            guards=(*evidence.guards, *gather.only(asked, rule)),
            search=Search(tried, rule),
        )

    def _also(self, evidence: Evidence) -> list[str]:
        """The rule that takes the order of image tokens away too, unless positions alone carry the bias or the model
        does not take it.
        """
        return [ORDERLESS] if evidence.cause != "position" and refusal(self.model, ORDERLESS) is None else []

    def _pointed(self, found: Estimate, labels: list[str]) -> list[Guard]:
        """How often the model points right under ``labels``; nothing where it does not point."""
        points = self._points() if found.points else None
        if points is None:
            return []
        there = self.path / "guards" / "pointed"
        run = pointing.asked(self.model, points, ["native", *labels], there, self.batch_size)
        return [pointing.guard(run, points)]

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
        design = shaped(self.model, {"task": self.task, "seed": self.seed, "items": items})
        return build(self.pictures, out, design, columns=self.columns, split=self.split)

    def _guards(self, probe: Probe) -> tuple[list[Probe], dict[str, str]]:
        """Questions that only positions can answer, about canvases like those of ``probe``: some that pick, and as many
        that judge. And by task, why it cannot be asked where the pictures do not allow it.
        """
        found, unasked = [], {}
        for task in GUARDS:
            items = min(2 * PICK, len(probe.items))
            try:
                found.append(self._alike(probe, task, items, self.path / "guards" / task))
            except ProbeError as error:
                unasked[task] = str(error)
        return found, unasked

    def _points(self) -> Probe | None:
        """Things to point at; None where the pictures do not allow it."""
        try:
            return self._alike(self._probe("warm-up/probe", WARM), "point", pointing.ITEMS, self.path / "warm-up/point")
        except ProbeError:
            return None

    def _alike(self, probe: Probe, task: str, items: int, out: Path) -> Probe:
        design = alike(probe.design, task, items, self.seed + 1)
        return build(self.pictures, out, design, columns=self.columns, split=self.split)
