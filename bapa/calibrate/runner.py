"""Calibration from end to end: search, judge on other items, write the model folder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bapa
from bapa.calibrate import curve, folder, judge
from bapa.calibrate.apart import split
from bapa.calibrate.candidates import PAPER, STEPS
from bapa.calibrate.criteria import CRITERIA, accuracy
from bapa.calibrate.search import Search
from bapa.calibrate.session import Session, part, pick
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError, RunError
from bapa.files import RunFolder, command, read_json
from bapa.inference.backend import check_outside
from bapa.measure import measure
from bapa.probe import Probe
from bapa.schemes import parse
from bapa.stats import Settings

FOLDER, RECORD = "calibration", "calibration.json"
VERSION = 3  # 1 called a candidate a dial; native is one from 3 on


@dataclass(frozen=True)
class Calibration:
    """A finished calibration. ``path``: the calibrated model; ``found``: what ``calibration.json`` holds."""

    path: Path
    found: dict[str, Any]

    @property
    def chosen(self) -> str:
        """The label of the rule that was picked."""
        return str(self.found["chosen"])

    @property
    def curve(self) -> list[curve.Point]:
        """One point per candidate, near ones first, over the items that picked the rule."""
        return list(self.found["curve"])

    @property
    def held_out(self) -> dict[str, Any]:
        """By rule, the figures over the items that had no part in the choice."""
        return dict(self.found["held_out"])

    @property
    def guards(self) -> list[dict[str, Any]]:
        """What the rules cost on each guard probe."""
        return list(self.found["guards"])


def load_calibration(path: str | Path) -> Calibration:
    """What :func:`calibrate` wrote into the folder of a calibrated model.

    Raises RunError where there is none, or it is not finished.
    """
    path = Path(path)
    record = path / FOLDER / RECORD
    if not record.is_file():
        raise RunError(f"no finished calibration in {path}; make it: bapa calibrate MODEL --probe PROBE --out {path}")
    return Calibration(path, _renamed(read_json(record)))


def calibrate(
    model: Loaded,
    probe: Probe,
    out: str | Path,
    *,
    items: int = 32,
    held_out: int | None = None,
    guards: Sequence[Probe] = (),
    criterion: str = "accuracy",
    steps: int = STEPS,
    full: bool = False,
    batch_size: int = 18,
    statistics: Settings | None = None,
    judged_in: Path | None = None,
) -> Calibration:
    """Pick the rule of the ``calibrated`` family that suits ``model``, and make ``out`` the model under it.

    Native positions are a candidate, which stays unless another beats it by one standard error. The first ``items``
    items of ``probe`` pick the rule (:class:`~bapa.calibrate.search.Search`). ``held_out`` items behind them, by
    default all, judge it beside native positions and the paper's rule; they share as little with the picking ones as
    the source allows (:mod:`bapa.calibrate.apart`). Repeated after an
    interruption it goes on where it was; repeated after the end it returns what is there.

    Args:
        model: from :func:`bapa.checkpoints.load`.
        probe: from :func:`bapa.probe.build` or ``Probe.load``.
        out: folder of the calibrated model: weights linked, ``config.bapa`` the choice. What was measured is in
            ``out/calibration``: ``calibration.json``, the rounds, the held-out run; page, picture and table are
            drawn by :func:`bapa.report.calibration.write`.
        items: calibration items.
        held_out: items that judge the choice.
        guards: probes of what positions are for, e.g. of task ``where``; each is asked about as many of its items as
            ``items`` says, under the judged rules.
        criterion: ``accuracy`` (balanced accuracy, needs labels) or a label-free one of
            :mod:`bapa.calibrate.criteria`.
        steps: distances tried besides the paper's.
        full: let no candidate leave early, and ask guards under every candidate.
        batch_size: canvases per forward.
        statistics: bootstrap draws, level and seed.
        judged_in: folder of a run of :func:`bapa.measure.measure` over the very items that judge; what it holds is not
            asked again. By default ``out/calibration/held-out``.

    Raises:
        ConfigError: an option out of range, or a model that is an adapter.
        SchemeError, UnsupportedModelError: a model whose positions cannot be set.
        RunError: ``out`` holds something else, another process writes to it, or an answer failed.
    """
    if hasattr(model.model, "peft_config"):
        raise ConfigError(
            f"{model.name} is an adapter, and a calibrated folder is a whole model; merge it first: "
            f"bapa export {shlex.quote(model.name)} --out MERGED, then bapa calibrate MERGED"
        )
    out, settings = Path(out), statistics or Settings()
    _checked(probe, items, held_out, criterion, steps)
    for one in (probe, *guards):
        check_outside(out, one)
    judges = split(probe, items, held_out)
    judged = len(judges.judging)
    config = {
        "model": {"name": model.name, "fingerprint": model.fingerprint},
        "probe": {"fingerprint": probe.fingerprint, "path": str(probe.path), "items": items, "held_out": judged},
        "guards": [guard.fingerprint for guard in guards],
        "search": {"criterion": criterion, "steps": steps, "full": full, "batch_size": batch_size},
        "statistics": vars(settings),
    }
    work = "rounds/*/progress/answers-*.jsonl"
    with RunFolder(out, config, kind="calibration", record=f"{FOLDER}/{RECORD}", work=work) as here:
        if here.open() is not None:
            return load_calibration(out)
        rounds = here.record.parent / "rounds"
        search = Search(Session(model, part(probe, 0, items), rounds, batch_size), items, criterion, full=full)
        chosen = search.run(steps)
        labels = list(dict.fromkeys(["native", PAPER, chosen]))
        run = measure(
            model,
            pick(probe, judges.judging),
            labels,
            judged_in or rounds.with_name("held-out"),
            batch_size=batch_size,
            fail_on_error=0,
            statistics=settings,
        )
        answers = run.answers()
        told = []
        for number, guard in enumerate(guards, start=1):
            count = min(items, len(guard.items))
            session = Session(model, part(guard, 0, count), rounds, batch_size)
            rules = list(dict.fromkeys([*labels, *search.answers])) if full else labels
            rows = session.ask(f"guard-{number}", 0, count, rules)
            asked = {rule: rows[rows["scheme"] == rule] for rule in rules}
            values = {rule: accuracy(its, guard.cells) for rule, its in asked.items()}
            told.append(curve.guard(guard, curve.points(asked, values, guard.cells, settings)))
        folder.write(model.name, parse(chosen), out)
        here.seal(
            {
                "version": VERSION,
                "command": command(),
                "bapa": bapa.__version__,
                "chosen": chosen,
                "apart": judges.apart,
                "curve": curve.points(search.shared(), search.values(), probe.cells, settings),
                "held_out": curve.verdict(run),
                "against_native": judge.against_native(answers, chosen, probe.cells, settings),
                "thresholds": judge.arms(search.answers, answers, probe.cells, curve.SHOWN, settings),
                "guards": told,
            }
        )
    return load_calibration(out)


def _checked(probe: Probe, items: int, held_out: int | None, criterion: str, steps: int) -> None:
    """Raises ConfigError where the numbers do not add up."""
    there = len(probe.items)
    if criterion not in CRITERIA:
        raise ConfigError(f"criterion {criterion!r}: accepted are {', '.join(CRITERIA)}")
    if steps < 2:
        raise ConfigError(f"steps = {steps}: use 2 or more")
    judged = there - items if held_out is None else held_out
    if items < 4 or judged < 2 or items + judged > there:
        raise ConfigError(
            f"{items} items to calibrate on and {max(judged, 0)} others to judge by: the probe has {there}; 4 and 2 "
            "are the least; use fewer (--items, --held-out) or a larger probe: bapa probe SOURCE --items 160"
        )


def _renamed(found: dict[str, Any]) -> dict[str, Any]:
    """The record with candidates called so, as from version 2 on."""
    if found.get("version") != 1:
        return found

    def new(point: dict[str, Any]) -> dict[str, Any]:
        return {"candidate" if name == "dial" else name: value for name, value in point.items()}

    guards = [{**guard, "rules": [new(rule) for rule in guard["rules"]]} for guard in found["guards"]]
    return {**found, "version": 2, "curve": [new(point) for point in found["curve"]], "guards": guards}
