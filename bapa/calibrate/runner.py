"""Calibration from end to end: search, judge on other items, write the model folder."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import bapa
from bapa.calibrate import curve, folder, frontier, judge, promise
from bapa.calibrate.apart import split
from bapa.calibrate.candidates import NATIVE, PAPER, STEPS
from bapa.calibrate.cost import Cost
from bapa.calibrate.criteria import CRITERIA, LABEL_FREE, READ_BY_YES
from bapa.calibrate.frontier import Frontier
from bapa.calibrate.guarded import check_guard, check_questions, guarded, put_to
from bapa.calibrate.pointed import asks_to_point, pointed
from bapa.calibrate.search import Search
from bapa.calibrate.session import Session, part, pick
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError, RunError
from bapa.files import RunFolder, command, read_json
from bapa.inference.backend import check_outside, check_slots
from bapa.measure import measure
from bapa.probe import Probe
from bapa.schemes import parse
from bapa.stats import Settings
from bapa.stats.bias import UNUSED

FOLDER, RECORD = "calibration", "calibration.json"
PLAIN: dict[str, Any] = {"criterion": "accuracy", "steps": STEPS, "full": False}  # what a search under a promise has
LEAST = 8  # items of a guard that judge a promise
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

    @property
    def frontier(self) -> Frontier | None:
        """Every candidate of a search under a promise; None where nothing was promised (``keep``)."""
        told = self.found.get("promise")
        return frontier.read(told) if told else None


def load_calibration(path: str | Path) -> Calibration:
    """What :func:`calibrate` wrote into the folder of a calibrated model.

    Raises RunError where there is none, or it is not finished.
    """
    path = Path(path)
    record = path / FOLDER / RECORD
    if not record.is_file():
        raise RunError(f"no finished calibration in {path}; make it: bapa calibrate MODEL --probe PROBE --out {path}")
    return Calibration(path, _renamed(read_json(record, "chosen", "guards", "curve")))


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
    keep: float | None = None,
    fit: bool = False,
    also: Sequence[str] = (),
    tell: Callable[[Cost], None] = lambda _: None,
) -> Calibration:
    """Pick the rule of the ``calibrated`` family that suits ``model``, and make ``out`` the model under it.

    With ``keep`` the rule is the evenest one of which every guard keeps that share of what the model gets right
    natively, the lower bound of the interval counted; distance, delta, pairs, layers, channels and blend are searched
    (:class:`~bapa.calibrate.promised.PromisedSearch`). Where no such rule is evener, native positions stay.

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
            ``items`` says, under the judged rules. One of task ``point`` is answered in writing
            (:mod:`bapa.calibrate.pointed`): it judges the choice and has no part in it.
        criterion: ``accuracy`` (balanced accuracy, needs labels) or a label-free one of
            :mod:`bapa.calibrate.criteria`; not with ``keep``, which needs labels.
        steps: distances tried besides the paper's; not with ``keep``, whose rules are its own.
        full: let no candidate leave early, and ask guards under every candidate; not with ``keep``.
        batch_size: canvases per forward.
        statistics: level, and with ``fit`` the seed of its draws; nothing else is drawn.
        judged_in: folder of a run of :func:`bapa.measure.measure` over the very items that judge; what it holds is not
            asked again. By default ``out/calibration/held-out``.
        keep: share of native, above 0 up to 1, that every guard must keep; needs ``guards``. A guard that the model
            cannot do natively need not.
        fit: let rules with shares by head and rotary pair, fitted on the picking items (:mod:`bapa.calibrate.fit`), be
            candidates too; needs ``keep``.
        also: further rules that are judged, and that guards are asked under; they cannot be chosen.
        tell: gets the cost of a search with ``keep`` before it starts.

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
    probe.needs_choices(
        "a calibration reads its answers from logits",
        "take one with choices (bapa probe SOURCE --task match), and ask this one by itself: "
        "bapa measure MODEL --generate 64",
    )
    _checked(probe, items, held_out, criterion, steps)
    _promised(keep, guards, fit, {"criterion": criterion, "steps": steps, "full": full})
    for one in (probe, *guards):
        if fit:
            one.needs_questions("--fit learns from the answers to questions")
        check_outside(out, one)
        check_slots(model.processor, one)
    judges = split(probe, items, held_out)
    judged = len(judges.judging)
    config = {
        "model": model.identity,
        "probe": {
            **{"fingerprint": probe.fingerprint, "path": str(probe.path), "items": items, "held_out": judged},
            **probe.slots.record,
        },
        "guards": [guard.fingerprint for guard in guards],
        "search": {"criterion": criterion, "steps": steps, "full": full, "batch_size": batch_size}
        | ({} if keep is None else {"keep": keep})
        | ({"fit": True} if fit else {})
        | ({"also": list(also)} if also else {}),
        "statistics": vars(settings),
    }
    work = "rounds/*/progress/answers-*.jsonl"
    free = tuple(name for name in UNUSED if not (fit and name.endswith("seed")))
    with RunFolder(out, config, kind="calibration", record=f"{FOLDER}/{RECORD}", work=work, free=free) as here:
        if here.open() is not None:
            return load_calibration(out)
        rounds = here.record.parent / "rounds"
        picking: dict[str, pd.DataFrame]
        points: list[curve.Point] = []
        told: dict[str, Any] = {}
        if keep is None:
            search = Search(Session(model, part(probe, 0, items), rounds, batch_size), items, criterion, full=full)
            chosen, picking = search.run(steps), search.answers
            points = curve.points(search.shared(), search.values(), probe.cells, settings)
            told = {"native": curve.points({NATIVE: search.answers[NATIVE]}, search.values(), probe.cells, settings)}
        else:
            looked = promise.search(
                model,
                probe,
                [guard for guard in guards if not asks_to_point(guard)],
                rounds,
                items=items,
                keep=keep,
                fit=fit,
                batch_size=batch_size,
                settings=settings,
                tell=tell,
            )
            chosen, picking = looked.frontier.chosen or NATIVE, looked.answers
            told = {"promise": looked.record()}
        labels = list(dict.fromkeys(["native", PAPER, chosen, *also]))
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
        asked = labels if keep is not None or not full else list(dict.fromkeys([*labels, *picking]))
        told_by = []
        for number, guard in enumerate(guards, start=1):
            if asks_to_point(guard):
                its, there = part(guard, 0, min(items, len(guard.items))), rounds.with_name(f"pointed-{number}")
                told_by.append(
                    pointed(model, guard, its, there, labels, batch_size, settings, promised=keep is not None)
                )
                continue
            to = put_to(model, guard) if probe.design.opening else model
            its, others = _judging(guard, items, apart=keep is not None)
            told_by.append(guarded(Session(to, its, rounds, batch_size), guard, number, asked, settings, others=others))
        if keep is not None:
            told["promise"]["judged"] = promise.judged(run, chosen)
        folder.write(model, parse(chosen), out)
        here.seal(
            {
                "version": VERSION,
                "command": command(),
                "bapa": bapa.__version__,
                "chosen": chosen,
                "apart": judges.apart,
                "curve": points,
                "held_out": curve.verdict(run),
                "clusters": run.bias["clusters"],
                "answering": curve.answering(run),
                "against_native": judge.against_native(answers, chosen, probe.cells, settings),
                "thresholds": judge.arms(picking, answers, probe.cells, curve.SHOWN, settings),
                "guards": told_by,
                **told,
            }
        )
    return load_calibration(out)


def _judging(guard: Probe, items: int, *, apart: bool) -> tuple[Probe, bool | None]:
    """The items of a guard that the judged rules are asked about: the first ``items``; where those picked the rule
    (``apart``), the next so many, if there are :data:`LEAST`. And whether they are others than those that picked; None
    where none did.
    """
    there = len(guard.items)
    first = items if apart and there - items >= LEAST else 0
    return part(guard, first, min(first + items, there)), first > 0 if apart else None


def _promised(keep: float | None, guards: Sequence[Probe], fit: bool, plain: Mapping[str, Any]) -> None:
    """Raises ConfigError for a promise that cannot be given, or a side-effect probe that cannot tell anything.
    ``plain``: options of the search without a promise, by name.
    """
    for guard in guards:
        (check_questions if keep is None else check_guard)(guard)
    if keep is not None and (named := [name for name, given in plain.items() if given != PLAIN[name]]):
        options = " and ".join(f"--{name}" for name in named)
        raise ConfigError(
            f"--keep goes by right answers, over rules of its own, so {options} would change nothing; leave out "
            f"{options}, or --keep"
        )
    if fit and keep is None:
        raise ConfigError(
            "fit looks for a rule under a promise, and none is given; say what share of native every side-effect probe "
            "must keep: --keep 0.9 --guard WHERE --guard ORDER"
        )
    if keep is not None and not 0 < keep <= 1:
        raise ConfigError(f"keep = {keep}: a share of native above 0 up to 1 is accepted, e.g. 0.9")
    if keep is not None and not guards:
        raise ConfigError(
            "keep says what the side-effect probes must keep, and there is none; build one, "
            "bapa probe SOURCE --task where --out WHERE, and name it: --guard WHERE"
        )
    if keep is not None and all(map(asks_to_point, guards)):
        raise ConfigError(
            f"the search reads logits, and {', '.join(str(guard.path) for guard in guards)}, of task point, is "
            "answered in writing: it can judge the choice, not guide it; build a side-effect probe with choices, "
            "bapa probe SOURCE --task where --out WHERE, and name it too: --guard WHERE"
        )


def _checked(probe: Probe, items: int, held_out: int | None, criterion: str, steps: int) -> None:
    """Raises ConfigError where the numbers do not add up."""
    there = len(probe.items)
    if criterion not in CRITERIA:
        raise ConfigError(f"criterion {criterion!r}: accepted are {', '.join(CRITERIA)}")
    if criterion in LABEL_FREE and probe.design.task not in READ_BY_YES:
        raise ConfigError(
            f"criterion {criterion!r} goes without labels by how sure answers by yes and no are, and this probe is of "
            f"task {probe.design.task!r}; use: --criterion accuracy"
        )
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
