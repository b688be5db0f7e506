"""How large probes of every kind of slots are, and how fast they are composed, against the canvas.

python benchmarks/slots.py                 # 10,000 canvases, prompts, clips, pages and pictures
python benchmarks/slots.py --canvases 900  # fewer
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bapa.probe import Design, Probe, build

KINDS = ("grid", "images:8", "frames:10", "page", "scene", "crop", "sizes:5", "aspects:5")
CELL = 280  # px, the size of pictures
COMPOSED = 100  # canvases a round
ROUNDS = 3  # the fastest counts: other work on the machine only ever slows


def seconds(probe: Probe) -> float:
    """Of one canvas, its tiles once read."""
    rng = np.random.default_rng(0)
    wanted = [(int(rng.integers(len(probe.items))), int(rng.integers(probe.cells))) for _ in range(COMPOSED)]
    taken = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        for item, slot in wanted:
            probe.compose(probe.items[item], slot)
        taken.append((time.perf_counter() - start) / COMPOSED)
    return min(taken[1:])  # the first round reads the tiles


def main(
    canvases: Annotated[int, typer.Option(help="Canvases, prompts, clips, pages, scenes of a probe.")] = 10_000,
) -> None:
    """Print a line for each kind."""
    first: float | None = None
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            slots = Design(slots=kind).places
            small = None if kind == "page" or slots.varied else 24
            design = Design(slots=kind, items=-(-canvases // slots.count), cell=small)
            start = time.perf_counter()
            probe = build("digits", Path(folder) / "manifest", design)
            took = time.perf_counter() - start
            size = sum(file.stat().st_size for file in probe.path.iterdir()) / 1e6
            count = len(probe.items) * probe.cells
            for file in probe.path.iterdir():
                file.unlink()
            timed = build("digits", Path(folder) / "timed", Design(slots=kind, items=16, cell=CELL))
            each = seconds(timed) / (timed.width * timed.height)
            for file in timed.path.iterdir():
                file.unlink()
            first = each if first is None else first
            typer.echo(
                f"{kind}: {count:,} composed from {size:.1f} MB, built in {took:.0f} s; "
                f"{1e9 * each:.2f} ns a pixel, {each / first:.2f} times the canvas; "
                f"{1e3 * each * timed.width * timed.height:.1f} ms each"
            )


if __name__ == "__main__":
    typer.run(main)
