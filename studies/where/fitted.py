"""Rules whose shares by head and rotary pair are fitted to a model, and what fresh items say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bapa.calibrate import judge
from bapa.calibrate.fit import fitted
from bapa.calibrate.frontier import Frontier, Point
from bapa.calibrate.promised import PromisedSearch
from bapa.calibrate.session import Session
from bapa.calibrate.space import NAMED
from bapa.checkpoints import Loaded
from bapa.measure import Run
from bapa.probe import Probe
from bapa.stats import Settings

BATCH = 27  # canvases a forward
REFITTED = ("range", "hit", "false_alarm", "balanced_accuracy")


def fit(
    model: Loaded,
    picking: Mapping[str, Probe],
    fresh: Callable[[list[str]], dict[str, Run]],
    of_rule: Callable[[str, dict[str, Run]], Point],
    folder: Path,
    *,
    items: int,
    keep: float,
    settings: Settings,
) -> dict[str, Any]:
    """Fits on the first ``items`` of the ``picking`` probes, of which those items pick one under the promise ``keep``;
    what ``fresh`` items say of all of them, as the rules are and with one threshold refitted on the items that pick.
    """
    sessions = {task: Session(model, probe, folder / "fit", BATCH) for task, probe in picking.items()}
    match = sessions.pop("match")
    folder.mkdir(parents=True, exist_ok=True)
    labels = fitted(match, list(sessions.values()), items, settings.seed, folder / "fitted.json")
    looking = PromisedSearch(match, sessions, items, keep, settings)
    chosen = looking.run([*NAMED[:2], *labels], layers=1).chosen or NAMED[0]
    rules = [*NAMED[:2], *labels]
    runs = fresh(rules)
    points = [of_rule(rule, runs) for rule in rules]
    refitted = judge.arms(looking.answers["match"], runs["match"].answers(), match.probe.cells, REFITTED, settings)
    return {"chosen": chosen, "fresh": Frontier(keep, tuple(points)).record(), "refitted": refitted, "runs": runs}
