"""Parts of a model one at a time, and all rules in one table: planted answers come out as they were planted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from bapa.checkpoints import Loaded, load
from bapa.probe import Probe
from bapa.schemes import names, parse
from bapa.schemes.part import read_channels
from bapa.stats import bias
from studies.where import asking, picture, shown, sites
from studies.where import together as table
from studies.where.rules import BANDS, EVERY, SHARED, TRIED, WHOLE, one_at_a_time

CELLS, ITEMS = 9, 12
EVEN = np.full((ITEMS, CELLS), 3.0)
UNEVEN = np.where(np.arange(CELLS) < 3, -3.0, 3.0)[None].repeat(ITEMS, 0)  # blind in the top row


@pytest.fixture(scope="module")
def model() -> Loaded:
    return load("reference:top")


def match(scheme: str, margins: np.ndarray) -> pd.DataFrame:
    """Answers to one question about what is there, with these ``margins``, and one about what is not, always right."""
    lines = []
    for item, cell in np.ndindex(margins.shape):
        about = {"item": item, "cell": cell, "scheme": scheme}
        margin = margins[item, cell] + 0.01 * item
        lines.append({**about, "question": "a", "kind": "present", "correct": margin > 0, "margin": margin})
        lines.append({**about, "question": "b", "kind": "absent", "correct": True, "margin": -1.0 - 0.01 * item})
    return pd.DataFrame(lines)


def where(scheme: str, right: float) -> pd.DataFrame:
    """Answers of which the share ``right`` is right, in each cell alike."""
    lines = [
        {
            "item": item,
            "cell": cell,
            "scheme": scheme,
            "question": "a",
            "kind": "present",
            "correct": its,
            "margin": 1.0,
        }
        for item in range(ITEMS)
        for cell in range(CELLS)
        for its in [item < round(right * ITEMS)]
    ]
    return pd.DataFrame(lines)


class Answered:
    """A run whose answers are made up."""

    def __init__(self, answers: pd.DataFrame) -> None:
        self._answers = answers
        schemes = {
            rule: {"overall": bias.overall(rows, CELLS, asking.SETTINGS), "cells": [{}] * CELLS}
            for rule, rows in answers.groupby("scheme", sort=False)
        }
        self.bias: dict[str, Any] = {"schemes": schemes, "comparisons": []}

    def answers(self) -> pd.DataFrame:
        return self._answers


def planted(rows_natively: float, seen: list[str]) -> Any:
    """What asks a model that is blind in the top row unless layer 0 shares the position, and loses its rows then."""

    def asked(_: Any, about: Mapping[str, Probe], rules: Sequence[str], __: Path) -> dict[str, Any]:
        seen.extend(about)
        shared = parse(f"{SHARED},layers=0").label
        rows = {rule: 0.25 if rule == shared else rows_natively for rule in rules}
        return {
            task: Answered(
                pd.concat(
                    match(rule, EVEN if rule == shared else UNEVEN) if task == "match" else where(rule, rows[rule])
                    for rule in rules
                )
            )
            for task in about
        }

    return asked


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few parts, and no probes."""
    monkeypatch.setattr(sites, "probes", lambda *_: dict.fromkeys(("match", "where", "order"), SimpleNamespace()))
    monkeypatch.setattr(
        sites, "one_at_a_time", lambda *_: {f"layer {n}": parse(f"{SHARED},layers={n}").label for n in (0, 1)}
    )


@pytest.mark.usefixtures("few")
def test_the_part_that_was_planted_evens_and_loses_the_rows(
    model: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "asked", planted(0.75, []))
    found = sites.maps(model, tmp_path, tmp_path)
    native, first, second = (shown.point(found["parts"][part]) for part in ("native", "layer 0", "layer 1"))
    assert first.range["value"] == pytest.approx(0, abs=0.02)
    assert native.range["value"] == second.range["value"] == pytest.approx(1, abs=0.05)
    assert first.kept["where"]["value"] == pytest.approx(1 / 3)
    assert second.kept["order"]["value"] == pytest.approx(1)
    lines = shown.parts({"m": found}).splitlines()
    assert len(lines) == 2 + 3
    assert lines[3].startswith(f"| m | {ITEMS} | layer 0 |  | ")
    assert "33.3 <sub>" in lines[3]


@pytest.mark.usefixtures("few")
def test_rows_and_order_are_asked_of_models_alone_that_know_rows(
    model: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(sites, "asked", planted(0.4, seen))
    found = sites.maps(model, tmp_path, tmp_path)
    assert seen == ["where", "match"]
    assert all(not part["kept"] for part in found["parts"].values())
    assert shown.parts({"m": found}).splitlines()[2].endswith("|  |  |")
    panels = picture.parts({"m": found}, dark=False).axes
    assert [ax.get_title(loc="left") for ax in panels] == ["m\nAUC range, points", "m\nmargins, %"]


@pytest.mark.usefixtures("few")
def test_the_picture_draws_every_part_and_what_is_kept(
    model: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "asked", planted(0.75, []))
    spread, _, kept = picture.parts({"m": sites.maps(model, tmp_path, tmp_path)}, dark=True).axes
    dots = spread.containers[0].lines[0]
    assert dots.get_ydata().tolist() == [0, 1]
    assert dots.get_xdata().tolist() == pytest.approx([0, 100], abs=5)
    assert [tick.get_text() for tick in spread.get_yticklabels()] == ["layer 0", "layer 1"]
    assert len(kept.containers) == 2


def test_margins_are_right_answers_less_their_spread_over_the_cells() -> None:
    answers = match("x", UNEVEN)
    found = asking.margins(answers, CELLS)
    items = 0.01 * np.arange(ITEMS)
    cells = np.stack([expit(3 * sign + items) for sign in (-1, -1, -1, 1, 1, 1, 1, 1, 1)], 1)
    truth = (cells.mean(1) + expit(1 + items)) / 2 - cells.std(1)
    assert found["value"] == pytest.approx(truth.mean())
    half = 2.201 * truth.std(ddof=1) / np.sqrt(ITEMS)  # Student's t, 11 degrees of freedom
    assert found["high"] - found["value"] == pytest.approx(half, rel=1e-3)  # type: ignore[operator]


def test_every_rotary_pair_is_in_one_band_and_one_alone() -> None:
    bands = [read_channels(band) for band in BANDS]
    waves = 2 * np.pi * 10_000 ** (np.arange(16) / 16) / 81  # of the shipped models, in image lengths
    held = [[band is not None and band.holds(wave, 1.0) for band in bands] for wave in waves]
    assert [sum(its) for its in held] == [1] * 16
    assert [sum(its) for its in zip(*held, strict=True)] == [4, 2, 2, 8]
    found = one_at_a_time(1, 16, 1)
    assert all(found[f"band {band}"] == parse(f"{SHARED},channels={band}").label for band in BANDS)


def test_the_one_table_asks_every_rule_there_is_and_says_what_a_model_refuses(model: Loaded) -> None:
    assert {*names(), *EVERY, *TRIED} <= set(WHOLE)
    assert len(set(WHOLE)) == len(WHOLE)
    assert all(parse(rule).label == rule for rule in WHOLE)
    rules, refused = table.taken(model)
    assert sorted([*rules, *refused]) == sorted(WHOLE)
    assert set(refused) == {"id_align", "mrope", "spatial_reset", "diagonal", "circle"}
    assert "rotary axes" in refused["circle"]


def test_the_one_table_shows_what_was_found() -> None:
    def its(auc: float, rows: float, p: float | None, time: float) -> dict[str, Any]:
        def at(value: float) -> dict[str, float]:
            return {"value": value, "low": value - 0.02, "high": value + 0.02}

        figures = {name: at(auc) for name in ("auc_range", "auc_worst_cell", "auc")}
        return {**figures, "rows": at(rows), "kept": at(rows / 0.9), "p": p, "time": at(time)}

    rules = {"native": its(0.3, 0.9, None, 1.0), "bapa": its(0.05, 0.3, 0.004, 1.04)}
    text = shown.together({"m": {"rules": rules, "refused": {"circle": "it needs three"}}})
    _, _, native, shared, *rest = text.splitlines()
    assert native.startswith("| m | `native` | 30.0 <sub>[28.0, 32.0]</sub> |  | 30.0")
    assert "| p = 0.004 |" in shared
    assert shared.endswith(
        "| 30.0 <sub>[28.0, 32.0]</sub> | 33.3 <sub>[31.3, 35.3]</sub> | 1.04 <sub>[1.02, 1.06]</sub> |"
    )
    assert rest[-1] == "- `circle`, refused by m: it needs three."
