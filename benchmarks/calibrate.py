"""What calibrating costs, beside one measurement of the same items under three schemes: a ratio of processor times.

python benchmarks/calibrate.py --items 32 --rounds 3
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bapa.calibrate.candidates import STEPS
from bapa.calibrate.search import Search
from bapa.calibrate.session import Session
from bapa.checkpoints import load
from bapa.measure import measure
from bapa.probe import Design, build

SCHEMES = ("native", "bapa", "bapa:distance=native")


def main(
    model: Annotated[str, typer.Argument(help="A model, as for bapa measure.")] = "reference:center",
    items: Annotated[int, typer.Option(help="Calibration items.")] = 32,
    rounds: Annotated[int, typer.Option(help="Pairs of timings.")] = 3,
) -> None:
    """Print the ratio of each round and their median."""
    loaded = load(model)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        probe = build("digits", work / "probe", Design(items=items))

        def search(folder: Path) -> None:
            Search(Session(loaded, probe, folder, 18), items, "accuracy").run(STEPS)

        def once(folder: Path) -> None:
            measure(loaded, probe, SCHEMES, folder)

        ratios = []
        for number in range(rounds):
            took = [timed(work_of, work / f"{kind}-{number}") for kind, work_of in (("c", search), ("m", once))]
            ratios.append(took[0] / took[1])
            typer.echo(f"calibrate {took[0]:.1f} s, measure {took[1]:.1f} s: {ratios[-1]:.2f}")
        typer.echo(f"median ratio {statistics.median(ratios):.2f}, {items} items, measure under {', '.join(SCHEMES)}")


def timed(work: Callable[[Path], None], folder: Path) -> float:
    """Seconds of processor time, so that what else the machine does counts little."""
    start = time.process_time()
    work(folder)
    return time.process_time() - start


if __name__ == "__main__":
    typer.run(main)
