"""Whether a model points where it is asked to, and how often right: a guard that reads written places."""

from __future__ import annotations

from pathlib import Path

from bapa.calibrate.pace import timed
from bapa.calibrate.pointed import TASK
from bapa.calibrate.pointed import asked as asked
from bapa.calibrate.session import part
from bapa.check.evidence import Guard
from bapa.check.gather import figure
from bapa.checkpoints import Loaded
from bapa.measure import Run, load_run
from bapa.measure.pointing import pointing
from bapa.probe import Probe

ITEMS = 8  # that are pointed at
READ = 0.5  # share of replies: with fewer that a place can be read in, it does not point


def tried(model: Loaded, probe: Probe, folder: Path, batch_size: int) -> float:
    """Seconds that one item takes, from the first of ``probe``; 0 where ``model`` does not point."""
    one = part(probe, 0, 1)
    seconds = timed(lambda: asked(model, one, ["native"], folder, batch_size))
    (native,) = pointing(load_run(folder), one).values()
    return seconds if 1 - native.missed >= READ else 0.0


def guard(run: Run, probe: Probe) -> Guard:
    """How often the model of ``run`` points into the right cell natively and under its other rules."""
    found = {label: figure(its.right) for label, its in pointing(run, probe).items()}
    return Guard(TASK, 1 / probe.cells, found.pop("native"), found)
