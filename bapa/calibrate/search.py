"""Finding the rule: distances first, then what lies around the best one."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bapa.calibrate import halving
from bapa.calibrate.candidates import NATIVE, PAPER, around, distances
from bapa.calibrate.criteria import CRITERIA, PACE, Criterion
from bapa.calibrate.session import Session
from bapa.stats.trials import Array


class Search:
    """Candidates and what they have answered so far.

    ``items``: how many there are. ``full``: no candidate leaves early. ``answers``: by candidate, the rows about the
    items it was asked about, always the first so many.
    """

    def __init__(self, session: Session, items: int, criterion: str, *, full: bool = False) -> None:
        self.session, self.items, self.full = session, items, full
        self.criterion, self.pace = CRITERIA[criterion], PACE[criterion]
        self.answers: dict[str, pd.DataFrame] = {}

    def run(self, steps: int) -> str:
        """The candidate that wins; where it ties, native positions, else the paper's rule, else the best of the shared
        positions.
        """
        self._halve("distance", [NATIVE, *distances(steps)], kept=[NATIVE, PAPER], least=2)
        shared = {candidate: found for candidate, found in self.values().items() if candidate != NATIVE}
        best = halving.winner(shared, [])
        if finer := around(best, steps):
            self._halve("around", finer, kept=[], least=1)
        return halving.winner(self.values(), [NATIVE, PAPER, best])

    def shared(self) -> dict[str, pd.DataFrame]:
        """The answers under every candidate but native positions."""
        return {candidate: rows for candidate, rows in self.answers.items() if candidate != NATIVE}

    def values(self, criterion: Criterion | None = None) -> dict[str, Array]:
        """By candidate, the criterion of each item it was asked about; that of the search where none is named."""
        criterion = criterion or self.criterion
        return {candidate: criterion(found, self.session.probe.cells) for candidate, found in self.answers.items()}

    def _halve(self, name: str, candidates: Sequence[str], kept: Sequence[str], least: int) -> None:
        """Ask ``candidates``, fewer in every round; those of ``kept`` never leave."""
        running = list(candidates)
        for number, (start, stop) in enumerate(halving.rounds(self.items)):
            found = self.session.ask(f"{name}-{number}", start, stop, running)
            for candidate in running:
                rows = [self.answers[candidate]] if candidate in self.answers else []
                self.answers[candidate] = pd.concat([*rows, found[found["scheme"] == candidate]], ignore_index=True)
            if not self.full:
                values = {one: self.pace(self.answers[one], self.session.probe.cells) for one in running}
                running = halving.survivors(values, kept, least)
