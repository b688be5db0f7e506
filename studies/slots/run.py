"""Plants slot bias in every kind of slots, measures it as any model is measured, and writes record.json.

python -m studies.slots run                # the record, three minutes on one core
python -m studies.slots run --runs 20      # a miniature
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import tempfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from bapa.measure import measure
from bapa.probe import Design, Probe, build
from bapa.report import claims, words
from bapa.stats import Settings
from bapa.stats.bias import bias
from studies.slots.page import STUDY
from studies.slots.remedies import CALIBRATED, EXPLAINED, WHICH, calibrated, explained, which
from studies.slots.scripted import Scripted, redrawn, true_auc
from studies.slots.trained import MODELS, trained

KINDS = ("grid", "images:8", "frames:10", "page", "scene", "crop", "sizes:5", "aspects:5")
ITEMS = 100
LOW, HIGH = 0.3, 0.9  # planted hit rates of the first and of the last slot; an even model has their middle everywhere
SCHEMES = ("native", "bapa")


def planted(count: int, truth: str) -> dict[str, NDArray[np.float64]]:
    """By scheme the rates of ``count`` slots: ``steep`` natively and even under bapa, or ``even`` under both."""
    even = np.full(count, (LOW + HIGH) / 2)
    return {"native": np.linspace(LOW, HIGH, count) if truth == "steep" else even, "bapa": even}


def outcome(told: dict[str, Any], true: float) -> dict[str, Any]:
    """What a run measured and its report says. ``true``: the native range of the AUC."""
    native = told["schemes"]["native"]
    found, cells = native["overall"]["auc_range"], [cell["auc"]["value"] for cell in native["cells"]]
    return {
        "value": found["value"],
        "ends": cells[-1] - cells[0],
        "holds": found["low"] <= true + 1e-9 and true <= found["high"] + 1e-9,
        "reading": claims.reading(told, "native"),
        "evened": claims.changed(told, "bapa", "auc_range") < 0,
        "sentence": words.findings(told)[0],
    }


def told(runs: list[dict[str, Any]], true: float) -> dict[str, Any]:
    """The runs of one truth together: how many of them, and the mean of the measured range, and of the last less the
    first slot, which nobody had to pick.
    """
    return {
        "runs": len(runs),
        "true": round(true, 4),
        "mean": round(float(np.mean([run["value"] for run in runs])), 4),
        "ends": round(float(np.mean([run["ends"] for run in runs])), 4),
        "holds": sum(run["holds"] for run in runs),
        "uneven": sum(run["reading"] == "uneven" for run in runs),
        "evened": sum(run["evened"] for run in runs),
        "sentence": runs[0]["sentence"],
    }


def simulated(probe: Probe, truth: str, runs: int, folder: Path) -> dict[str, Any]:
    """One run over a probe as of any model, then its answers drawn anew, so that there are ``runs`` of them."""
    rates = planted(probe.cells, truth)
    true = float(np.ptp(true_auc(rates["native"][[0, -1]]))) if truth == "steep" else 0.0
    first = zlib.crc32(f"{probe.slots.kind} {truth}".encode())
    run = measure(Scripted(rates, first), probe, SCHEMES, folder / truth, audit=0, batch_size=90)
    answers, found = run.answers(), [outcome(run.bias, true)]
    for seed in range(1, runs):
        drawn = redrawn(answers, rates, first + seed)
        again = bias(drawn, rows=probe.rows, cols=probe.cols, settings=Settings(seed=seed))
        found.append(outcome({**run.bias, **again}, true))
    return told(found, true)


def run(
    runs: Annotated[int, typer.Option(min=1, help="Runs of each kind and truth.")] = 60,
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
            kept[name] = {truth: simulated(probe, truth, runs, folder) for truth in ("steep", "even")}
            STUDY.keep({**before, "items": items, "kinds": {name: kept[name] for name in KINDS if name in kept}})
            typer.echo(f"{name}: {kept[name]}")


def run_trained(
    models: Annotated[Path, typer.Argument(help=f"Folder that holds {', '.join(MODELS)}, as trained.")],
    items: Annotated[int, typer.Option(min=8, help="Items asked under every rule.")] = 30,
    large: Annotated[int, typer.Option(min=8, help="Items asked natively, for the true size.")] = 60,
    runs: Annotated[int, typer.Option(min=1, help="Runs drawn of these.")] = 40,
    only: Annotated[list[str] | None, typer.Option("--model", help="Only these; the record keeps the others.")] = None,
) -> None:
    """Measure the trained models of several pictures under every scope and write the record."""
    _each(
        "trained", MODELS, only, lambda name, folder: trained(models / name, MODELS[name], folder, items, large, runs)
    )


def run_which(
    models: Annotated[Path, typer.Argument(help=f"Folder that holds {', '.join(WHICH)}, as trained.")],
    only: Annotated[list[str] | None, typer.Option("--model", help="Only these; the record keeps the others.")] = None,
) -> None:
    """Ask which image shows what, with a position for each and with one for all, and write the record."""
    _each("which", WHICH, only, lambda name, folder: which(models / name, folder))


def run_calibrated(
    models: Annotated[Path, typer.Argument(help=f"Folder that holds {', '.join(CALIBRATED)}, as trained.")],
    only: Annotated[list[str] | None, typer.Option("--model", help="Only these; the record keeps the others.")] = None,
) -> None:
    """Calibrate trained models of several pictures and write the record."""
    _each("calibrated", CALIBRATED, only, lambda name, folder: calibrated(models / name, CALIBRATED[name], folder))


def run_origin(
    models: Annotated[Path, typer.Argument(help=f"Folder that holds {', '.join(EXPLAINED)}, as trained.")],
    only: Annotated[list[str] | None, typer.Option("--model", help="Only these; the record keeps the others.")] = None,
) -> None:
    """Ask where the bias between the images of a prompt comes from, and write the record."""
    _each("origin", EXPLAINED, only, lambda name, folder: explained(models / name, folder))


def _each(part: str, names: Iterable[str], only: list[str] | None, ask: Callable[[str, Path], dict[str, Any]]) -> None:
    """Ask each model by name, in a folder that goes away, and keep what is found in a ``part`` of the record."""
    for name in only or names:
        with tempfile.TemporaryDirectory() as folder:
            _kept(part, name, ask(name, Path(folder)), names)


def _kept(part: str, name: str, found: dict[str, Any], order: Iterable[str]) -> None:
    """Keep what was ``found`` of one model in a ``part`` of the record, in the ``order`` of models."""
    record = STUDY.record()
    kept = {**record.get(part, {}), name: found}
    STUDY.keep({**record, part: {name: kept[name] for name in order if name in kept}})
    typer.echo(f"{name}: {found}")
