"""The search under a promise: the evenest rule that keeps what positions are for.

Every candidate is asked about matches and about the side-effect probes, on the same first items of each; by successive
halving those leave that fall short of the promise, and then those that are less even.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bapa.calibrate import halving
from bapa.calibrate.criteria import evenness
from bapa.calibrate.frontier import Frontier, Point, point
from bapa.calibrate.kept import kept, short
from bapa.calibrate.session import Session
from bapa.calibrate.space import NAMED, near
from bapa.stats import Settings
from bapa.stats.intervals import Estimate

NATIVE = NAMED[0]
LEAST = 6  # candidates that stay to the end of a search: the first few items tell little
AROUND = 2  # of the best, whose neighbours are tried
Answers = dict[str, pd.DataFrame]  # by candidate, always the first so many items


class PromisedSearch:
    """Candidates and what they have answered so far.

    ``match``: the session of the probe whose evenness is sought; ``guards``: by task, those of the side-effect probes
    that the model can do natively. ``items``: of each. ``keep``: share of native that each guard must keep. ``layers``:
    of the decoder. ``may``: whether the model can run under a candidate.
    """

    def __init__(
        self,
        match: Session,
        guards: Mapping[str, Session],
        items: int,
        keep: float,
        settings: Settings,
    ) -> None:
        self.match, self.guards, self.items, self.keep, self.settings = match, guards, items, keep, settings
        self.answers: dict[str, Answers] = {task: {} for task in ("match", *guards)}

    def run(self, candidates: Sequence[str], layers: int) -> Frontier:
        """The frontier of ``candidates`` and of what lies around the best of them."""
        self._halve("space", candidates, NAMED)
        best = [name for name in self._ranked(self._longest()) if name not in NAMED][:AROUND]
        finer = [label for one in best for label in near(one, layers) if label not in self.answers["match"]]
        self._halve("near", list(dict.fromkeys(finer)), ())
        return self.frontier()

    def frontier(self) -> Frontier:
        """Every candidate with what was found of it so far."""
        return Frontier(self.keep, tuple(self._point(candidate) for candidate in self.answers["match"]))

    def _halve(self, name: str, candidates: Sequence[str], stay: Sequence[str]) -> None:
        running = list(candidates)
        for number, (start, stop) in enumerate(halving.rounds(self.items)):
            if not running:
                return
            for task, session in {"match": self.match, **self.guards}.items():
                last = min(stop, len(session.probe.items))
                if start >= last:
                    continue
                found = session.ask(f"{name}-{task}-{number}", start, last, running)
                for candidate in running:
                    mine = self.answers[task]
                    rows = [mine[candidate]] if candidate in mine else []
                    mine[candidate] = pd.concat([*rows, found[found["scheme"] == candidate]], ignore_index=True)
            running = halving.better_half(self._ranked(running), running, stay, LEAST)

    def _ranked(self, candidates: Sequence[str]) -> list[str]:
        """Those that fall least below the promise first; among those that may keep it, the evenest."""

        def standing(candidate: str) -> tuple[float, float]:
            falls = max((short(its, self.keep) for its in self._kept(candidate).values()), default=0.0)
            return round(falls, 3), -float(np.mean(evenness(self.answers["match"][candidate], self.match.probe.cells)))

        return sorted(candidates, key=standing)

    def _longest(self) -> list[str]:
        """Candidates that were asked about most items."""
        asked = {candidate: rows["item"].nunique() for candidate, rows in self.answers["match"].items()}
        return [candidate for candidate, items in asked.items() if items == max(asked.values())]

    def _kept(self, candidate: str) -> dict[str, Estimate]:
        return {
            task: kept(mine[NATIVE], mine[candidate], self.guards[task].probe.cells, self.settings)
            for task, mine in self.answers.items()
            if task != "match"
        }

    def _point(self, candidate: str) -> Point:
        rows = self.answers["match"][candidate]
        return point(candidate, rows, self._kept(candidate), self.match.probe.cells, self.settings)
