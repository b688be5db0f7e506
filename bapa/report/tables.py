"""What a report shows, as files a paper can take in: tables as CSV and LaTeX, figures as SVG and PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bapa.probe.slots import Slots
from bapa.report import chance, figures
from bapa.report.compare import base, changes, others
from bapa.report.view import mapped, table
from bapa.stats.text import with_interval

Runs = Sequence[tuple[str, Mapping[str, Any]]]


def overall(runs: Runs) -> pd.DataFrame:
    """One row per run, scheme and quantity: the figures over all cells, in per cent, with their intervals."""
    return pd.DataFrame(
        [
            {"run": name, "scheme": scheme, "quantity": quantity.name, **_points(estimate)}
            for name, bias in runs
            for quantity, estimates in table(bias)
            for scheme, estimate in zip(bias["schemes"], estimates, strict=True)
        ]
    )


def cells(runs: Runs) -> pd.DataFrame:
    """One row per run, scheme, slot and quantity, rows and columns counted from 1; ``slot``: what people call it."""
    return pd.DataFrame(
        [
            {
                **{"run": name, "scheme": scheme, "row": cell["row"] + 1, "column": cell["col"] + 1, "n": cell["n"]},
                **{"quantity": quantity.name, **_points(cell[quantity.key])},
                "slot": Slots.of(bias["probe"]).name(cell["cell"]),
            }
            for name, bias in runs
            for scheme, found in bias["schemes"].items()
            for cell in found["cells"]
            for quantity in mapped(bias)
        ]
    )


def tests(runs: Runs) -> pd.DataFrame:
    """One row per run, scheme and quantity tested against the base scheme; cells counted from 0, empty for all."""
    return pd.DataFrame(
        [
            {
                **{"run": name, "scheme": scheme, "base": base(bias), "quantity": change.quantity, "cell": change.cell},
                **_points(change.estimate),
                "p": change.p,
            }
            for name, bias in runs
            for scheme in others(bias)
            for change in changes(bias, scheme)
        ],
        columns=["run", "scheme", "base", "quantity", "cell", "value", "low", "high", "p"],
    ).astype({"cell": "Int64"})


def printed(runs: Runs) -> dict[str, pd.DataFrame]:
    """The tables as a paper prints them: the overall figures, a column per scheme, and the tests in words."""
    overall_ = [
        {"Model": name, "Quantity": quantity.name}
        | {scheme: with_interval(estimate, 1) for scheme, estimate in zip(bias["schemes"], estimates, strict=True)}
        for name, bias in runs
        for quantity, estimates in table(bias)
    ]
    tested = [
        {"Model": name, "Scheme": row.scheme, "Quantity": row.quantity}
        | {"Change": f"{row.size} {row.interval}", "Chance": row.p, "In words": row.says}
        for name, bias in runs
        for row in chance.differences(bias)
    ]
    return {"overall": pd.DataFrame(overall_).fillna("–"), "tests": pd.DataFrame(tested)}


def latex(frame: pd.DataFrame) -> str:
    """``frame`` as a LaTeX table with rules of the booktabs package."""
    return str(frame.to_latex(index=False, escape=True)).translate({0x2212: "$-$", 0x2013: "--"})


def save(runs: Runs, folder: Path) -> list[Path]:
    """Write every table and figure of the report over (name, bias) pairs into ``folder``; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, frame in {"overall": overall(runs), "cells": cells(runs), "tests": tests(runs)}.items():
        written.append(folder / f"{name}.csv")
        frame.to_csv(written[-1], index=False)
    for name, frame in printed(runs).items():
        written.append(folder / f"{name}.tex")
        written[-1].write_text(latex(frame), "utf-8")
    pictures = {"heatmaps": figures.heatmaps(runs)}
    if any(others(bias) for _, bias in runs):
        pictures["differences"] = figures.differences(runs)
    for name, figure in pictures.items():
        for kind in ("svg", "pdf"):
            written.append(folder / f"{name}.{kind}")
            figures.save(figure, written[-1], kind)
    return written


def _points(estimate: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if (x := estimate[name]) is None else round(100 * x, 3) for name in ("value", "low", "high")}
