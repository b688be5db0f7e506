"""Finding the dial: distances race first, then what lies around the best one."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bapa.calibrate import race
from bapa.calibrate.criteria import CRITERIA, PACE, Criterion
from bapa.calibrate.dials import PAPER, around, distances
from bapa.calibrate.session import Session
from bapa.stats.trials import Array


class Search:
    """Dials and what they have answered so far.

    ``items``: how many there are. ``full``: no dial leaves early. ``answers``: by dial, the rows about the items it was
    asked about, always the first so many.
    """

    def __init__(self, session: Session, items: int, criterion: str, *, full: bool = False) -> None:
        self.session, self.items, self.full = session, items, full
        self.criterion, self.pace = CRITERIA[criterion], PACE[criterion]
        self.answers: dict[str, pd.DataFrame] = {}

    def run(self, steps: int) -> str:
        """The dial that wins; where it ties, the paper's rule, else the best of the shared positions."""
        self._race("distance", distances(steps), kept=[PAPER], least=2)
        best = race.winner(self.values(), [])
        if finer := around(best, steps):
            self._race("around", finer, kept=[], least=1)
        return race.winner(self.values(), [PAPER, best])

    def values(self, criterion: Criterion | None = None) -> dict[str, Array]:
        """By dial, the criterion of each item it was asked about; that of the search where none is named."""
        criterion = criterion or self.criterion
        return {dial: criterion(found, self.session.probe.cells) for dial, found in self.answers.items()}

    def _race(self, name: str, dials: Sequence[str], kept: Sequence[str], least: int) -> None:
        """Ask ``dials``, fewer in every round; those of ``kept`` never leave."""
        running = list(dials)
        for number, (start, stop) in enumerate(race.rounds(self.items)):
            found = self.session.ask(f"{name}-{number}", start, stop, running)
            for dial in running:
                rows = [self.answers[dial]] if dial in self.answers else []
                self.answers[dial] = pd.concat([*rows, found[found["scheme"] == dial]], ignore_index=True)
            if not self.full:
                values = self.values(self.pace)
                running = race.survivors({dial: values[dial] for dial in running}, kept, least)
