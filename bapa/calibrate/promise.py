"""A promise: what the side-effect probes must keep, what the search for it costs, and what it found."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bapa.attach import balanced
from bapa.calibrate import curve, promised
from bapa.calibrate.cost import Cost, cost
from bapa.calibrate.criteria import accuracy
from bapa.calibrate.fit import canvases, fitted
from bapa.calibrate.frontier import Frontier, names
from bapa.calibrate.guarded import put_to
from bapa.calibrate.pace import Pace, pace, timed
from bapa.calibrate.promised import Answers, PromisedSearch
from bapa.calibrate.session import Session, part
from bapa.calibrate.space import NAMED, near, space
from bapa.checkpoints import Loaded
from bapa.errors import SchemeError, UnsupportedModelError
from bapa.families.anatomy import find
from bapa.files import read_json, write_json
from bapa.measure import Run
from bapa.probe import Probe
from bapa.stats import Settings, bias

_PACED = 6  # items
_SLOW = "calibrated:pairs=cross,distance=1x"  # scores of some pairs take longer than positions


@dataclass(frozen=True)
class Promised:
    """What a search found. ``answers``: by candidate, those to the probe whose evenness was sought. ``tasks``: the
    side-effect probes that had to be kept; ``silent``: those the model cannot do natively. ``refused``: by candidate
    that the model cannot run under, why.
    """

    frontier: Frontier
    answers: Answers
    tasks: tuple[str, ...]
    silent: tuple[str, ...]
    refused: dict[str, str]
    cost: Cost

    def record(self) -> dict[str, Any]:
        """As ``calibration.json`` holds it."""
        told = {"tasks": list(self.tasks), "silent": list(self.silent), "refused": self.refused}
        return {**self.frontier.record(), **told, "cost": asdict(self.cost)}


def search(
    model: Loaded,
    probe: Probe,
    guards: Sequence[Probe],
    folder: Path,
    *,
    items: int,
    keep: float,
    fit: bool,
    batch_size: int,
    settings: Settings,
    tell: Callable[[Cost], None],
) -> Promised:
    """The evenest rules on the first ``items`` items of ``probe`` that keep ``keep`` of what ``model`` gets right
    natively on the first ``items`` of each of ``guards``.

    ``fit``: whether rules with fitted shares are candidates too. ``folder``: where answers are kept, so that the same
    call goes on where it was. ``tell``: gets the cost, in pairs and in seconds on this machine, before the search.
    """
    candidates, refused = _possible(model)
    to = [put_to(model, one) if probe.design.opening else model for one in guards]
    called = names([guard.design.task for guard in guards])
    sessions = {
        name: _session(its, one, items, folder, batch_size) for name, its, one in zip(called, to, guards, strict=True)
    }
    telling = {task: session for task, session in sessions.items() if _tells(task, session, items, settings)}
    match = _session(model, probe, items, folder, batch_size)
    pace = _pace(model, probe, folder, batch_size)
    told = _cost(model, candidates, pace, items, 1 + len(telling))
    if fit:
        fitting = pace.rule * canvases(probe.cells, batch_size, len(telling))
        told = replace(told, seconds=told.seconds + fitting)
    tell(told)
    if fit:
        candidates += fitted(match, list(telling.values()), items, settings.seed, folder / "fitted.json")
    looking = PromisedSearch(match, telling, items, keep, settings)
    frontier = looking.run(candidates, _layers(model))
    silent = tuple(task for task in sessions if task not in telling)
    return Promised(frontier, looking.answers["match"], tuple(telling), silent, refused, told)


def expected(
    model: Loaded, probe: Probe, asking: Pace, folder: Path, *, items: int, guards: int, batch_size: int
) -> Cost:
    """What a search with so many ``guards`` will cost at most. ``asking``: the pace of plain rules, which two items of
    ``probe`` under this search's correct.
    """
    candidates, _ = _possible(model)
    rules = _paced(model)
    session = _session(model, probe, 2, folder, batch_size)
    session.asker(session.probe, rules).settle(probe.questions(probe.items[0], 0))
    both = timed(lambda: session.ask("search", 0, 2, rules)) / 2
    pace = replace(asking, rule=max((both - asking.once) / len(rules), asking.rule))
    return _cost(model, candidates, pace, items, 1 + guards)


def judged(run: Run, chosen: str) -> dict[str, Any]:
    """What the judging items say of evenness: by rule its figures, and of ``chosen`` the change against native."""
    name = "auc" if run.bias["schemes"]["native"]["overall"]["auc"]["value"] is not None else "hit"
    keys = {"range": bias.range_key(name), "worst": bias.worst_key(name), "mean": name}
    rules = {
        label: {ours: its["overall"][theirs] for ours, theirs in keys.items()}
        for label, its in run.bias["schemes"].items()
    }
    change = {
        ours: row["difference"]
        for row in run.bias["comparisons"]
        for ours, theirs in keys.items()
        if (row["a"], row["b"], row["quantity"]) == ("native", chosen, theirs) and "cell" not in row
    }
    return {"rules": rules, "change": change}


def _paced(model: Loaded) -> tuple[str, str, str]:
    """Rules that stand for those of the search."""
    return "native", _SLOW if refusal(model, _SLOW) is None else "null", "bapa"


def _layers(model: Loaded) -> int:
    return len(find(model.model).layers)


def _cost(model: Loaded, candidates: Sequence[str], pace: Pace, items: int, probes: int) -> Cost:
    around = promised.AROUND * max(len(near(one, _layers(model))) for one in candidates)
    return cost(pace, (len(candidates), around), len(NAMED), promised.LEAST, items, probes)


def _possible(model: Loaded) -> tuple[list[str], dict[str, str]]:
    """The candidates that the model can run under, and why it cannot under the others."""
    there, refused = [], {}
    for candidate in space(_layers(model)):
        if why := refusal(model, candidate):
            refused[candidate] = why
        else:
            there.append(candidate)
    return there, refused


def refusal(model: Loaded, rule: str) -> str | None:
    """Why ``model`` cannot run under ``rule``; None where it can."""
    try:
        with balanced(model.model, rule):
            return None
    except (SchemeError, UnsupportedModelError) as error:
        return str(error)


def _session(model: Loaded, probe: Probe, items: int, folder: Path, batch_size: int) -> Session:
    return Session(model, part(probe, 0, min(items, len(probe.items))), folder, batch_size)


def _tells(task: str, session: Session, items: int, settings: Settings) -> bool:
    """Whether the model can do the task natively."""
    rows = session.ask(f"native-{task}", 0, min(items, len(session.probe.items)), ["native"])
    cells = session.probe.cells
    points = curve.points({"native": rows}, {"native": accuracy(rows, cells)}, cells, settings)
    return bool(curve.guard(session.probe, points)["tells"])


def _pace(model: Loaded, probe: Probe, folder: Path, batch_size: int) -> Pace:
    """Timed once: what is on disk by then would not be asked again."""
    kept = folder / "pace.json"
    if not kept.is_file():
        shutil.rmtree(folder / "pace", ignore_errors=True)  # of a command that was cut off
        write_json(kept, asdict(pace(model, part(probe, 0, _PACED), folder / "pace", batch_size, _paced(model))))
    return Pace(**read_json(kept, "once", "rule", "memory"))
