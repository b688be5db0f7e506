"""Calibration from end to end: search, judge on other items, write the model folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bapa
from bapa.calibrate import curve, folder
from bapa.calibrate.criteria import CRITERIA, accuracy
from bapa.calibrate.dials import PAPER, STEPS
from bapa.calibrate.search import Search
from bapa.calibrate.session import Session, part
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError, RunError
from bapa.inference.store import read_json, write_json
from bapa.measure import measure
from bapa.probe import Probe
from bapa.report import calibration as page
from bapa.schemes import parse
from bapa.stats import Settings

RECORD = "calibration.json"
VERSION = 1


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
) -> dict[str, Any]:
    """Pick the rule of the ``calibrated`` family that suits ``model``, and make ``out`` the model under it.

    The first ``items`` items of ``probe`` pick the rule (:class:`~bapa.calibrate.search.Search`). The ``held_out``
    items behind them, by default all, judge it beside native positions and the paper's rule. Repeated after an
    interruption it goes on where it was; repeated after the end it returns what is there.

    Args:
        model: from :func:`bapa.checkpoints.load`.
        probe: from :func:`bapa.probe.build` or ``Probe.load``.
        out: folder of the calibrated model: weights linked, ``config.bapa`` the choice. All that was measured is in
            ``out/calibration``: ``calibration.json``, ``curve.csv``, ``calibration.html``, the held-out run.
        items: calibration items.
        held_out: items that judge the choice.
        guards: probes of what positions are for, e.g. of task ``where``; each is asked about as many of its items as
            ``items`` says, under the judged rules.
        criterion: ``accuracy`` (balanced accuracy, needs labels) or a label-free one of
            :mod:`bapa.calibrate.criteria`.
        steps: distances tried besides the paper's.
        full: let no dial leave early, and ask guards under every dial.
        batch_size: canvases per forward.
        statistics: bootstrap draws, level and seed.

    Returns what ``calibration.json`` holds.

    Raises:
        ConfigError: an option out of range.
        SchemeError, UnsupportedModelError: a model whose positions cannot be set.
        RunError: ``out`` holds something else, or an answer failed.
    """
    out, settings = Path(out), statistics or Settings()
    judged = _checked(probe, items, held_out, criterion, steps)
    config = {
        "model": {"name": model.name, "fingerprint": model.fingerprint},
        "probe": {"fingerprint": probe.fingerprint, "path": str(probe.path), "items": items, "held_out": judged},
        "guards": [guard.fingerprint for guard in guards],
        "search": {"criterion": criterion, "steps": steps, "full": full, "batch_size": batch_size},
        "statistics": vars(settings),
    }
    work = out / "calibration"
    if (done := _finished(out, config)) is not None:
        return done
    work.mkdir(parents=True, exist_ok=True)
    search = Search(Session(model, part(probe, 0, items), work / "rounds", batch_size), items, criterion, full=full)
    chosen = search.run(steps)
    labels = list(dict.fromkeys(["native", PAPER, chosen]))
    run = measure(
        model,
        part(probe, items, items + judged),
        labels,
        work / "held-out",
        batch_size=batch_size,
        fail_on_error=0,
        statistics=settings,
    )
    found: dict[str, Any] = {
        "version": VERSION,
        "config": config,
        "command": shlex.join(["bapa", *sys.argv[1:]]),
        "bapa": bapa.__version__,
        "chosen": chosen,
        "curve": curve.points(search.answers, search.values(), probe.cells, settings),
        "held_out": curve.verdict(run),
        "guards": [],
    }
    for number, guard in enumerate(guards, start=1):
        count = min(items, len(guard.items))
        session = Session(model, part(guard, 0, count), work / "rounds", batch_size)
        rules = list(dict.fromkeys([*labels, *search.answers])) if full else labels
        rows = session.ask(f"guard-{number}", 0, count, rules)
        answers = {rule: rows[rows["scheme"] == rule] for rule in rules}
        values = {rule: accuracy(its, guard.cells) for rule, its in answers.items()}
        found["guards"].append(curve.guard(guard, curve.points(answers, values, guard.cells, settings)))
    page.write(found, work)
    folder.write(model.name, parse(chosen), out)
    write_json(work / RECORD, found)
    return found


def _checked(probe: Probe, items: int, held_out: int | None, criterion: str, steps: int) -> int:
    """How many items judge the choice; ConfigError where the numbers do not add up."""
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
    return judged


def _finished(out: Path, config: dict[str, Any]) -> dict[str, Any] | None:
    """What ``out`` holds of this very calibration; None where it is empty or unfinished, RunError if it is another."""
    record = out / "calibration" / RECORD
    if record.is_file():
        found = read_json(record)
        if found.get("config") == config:
            return found
        raise RunError(f"{out} holds another calibration; name a new folder: --out FOLDER")
    if (
        out.is_dir()
        and any(path.name != "calibration" for path in out.iterdir())
        and not (out / "calibration").is_dir()
    ):
        raise RunError(f"{out} is not empty and holds no calibration; name a new folder: --out FOLDER")
    return None
