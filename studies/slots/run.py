"""Plants slot bias in every kind of slots, measures it as any model is measured, and writes record.json.

python -m studies.slots run                # the record, six minutes on one core
python -m studies.slots run --runs 2       # a miniature
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import tempfile
import zlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from bapa.measure import measure
from bapa.probe import Design, Probe, build
from bapa.report import claims, words
from bapa.stats import Settings
from studies.slots.page import STUDY
from studies.slots.scripted import Scripted, true_auc

KINDS = ("grid", "images:8", "frames:10", "page", "scene")
ITEMS = 100
LOW, HIGH = 0.3, 0.9  # planted hit rates of the first and of the last slot; an even model has their middle everywhere
SCHEMES = ("native", "bapa")


def planted(count: int, truth: str) -> dict[str, NDArray[np.float64]]:
    """By scheme the rates of ``count`` slots: ``steep`` natively and even under bapa, or ``even`` under both."""
    even = np.full(count, (LOW + HIGH) / 2)
    return {"native": np.linspace(LOW, HIGH, count) if truth == "steep" else even, "bapa": even}


def outcome(bias: dict[str, Any], true: float) -> dict[str, Any]:
    """What a run measured and its report says. ``true``: the native range of the AUC."""
    found = bias["schemes"]["native"]["overall"]["auc_range"]
    return {
        "value": found["value"],
        "holds": found["low"] <= true + 1e-9 and true <= found["high"] + 1e-9,
        "reading": claims.reading(bias, "native"),
        "evened": claims.changed(bias, "bapa", "auc_range") < 0,
        "sentence": words.findings(bias)[0],
    }


def told(runs: list[dict[str, Any]], true: float) -> dict[str, Any]:
    """The runs of one truth together: shares, and the mean of the measured range."""
    return {
        "runs": len(runs),
        "true": round(true, 4),
        "mean": round(float(np.mean([run["value"] for run in runs])), 4),
        "holds": float(np.mean([run["holds"] for run in runs])),
        "uneven": float(np.mean([run["reading"] == "uneven" for run in runs])),
        "evened": float(np.mean([run["evened"] for run in runs])),
        "sentence": runs[0]["sentence"],
    }


def measured(probe: Probe, truth: str, runs: int, folder: Path) -> dict[str, Any]:
    """``runs`` runs over one probe, each with draws of its own."""
    rates = planted(probe.cells, truth)
    true = float(np.ptp(true_auc(rates["native"][[0, -1]]))) if truth == "steep" else 0.0
    found = []
    for number in range(runs):
        seed = zlib.crc32(f"{probe.slots.kind} {truth} {number}".encode())
        script = Scripted(rates, seed)
        out = folder / f"{truth}-{number}"
        run = measure(script, probe, SCHEMES, out, audit=0, batch_size=90, statistics=Settings(seed=seed))
        found.append(outcome(run.bias, true))
    return told(found, true)


def run(
    runs: Annotated[int, typer.Option(min=1, help="Runs of each kind and truth.")] = 16,
    items: Annotated[int, typer.Option(min=8, help="Items of each probe.")] = ITEMS,
    kind: Annotated[list[str] | None, typer.Option(help="Only these kinds; the record keeps the others.")] = None,
) -> None:
    """Measure planted slot bias in every kind of slots and write the record."""
    before = STUDY.record()
    kept = before.get("kinds", {}) if before.get("items") == items else {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in kind or KINDS:
            folder = Path(temporary) / name.replace(":", "-")
            probe = build("digits", folder / "probe", Design(slots=name, items=items))
            kept[name] = {truth: measured(probe, truth, runs, folder) for truth in ("steep", "even")}
            STUDY.keep({"items": items, "kinds": {name: kept[name] for name in KINDS if name in kept}})
            typer.echo(f"{name}: {kept[name]}")
