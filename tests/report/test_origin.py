"""What a report says of where the bias comes from."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bapa.origin import Options
from bapa.report import origin, origin_figures
from bapa.report.overlay import overlay
from bapa.stats.intervals import Estimate


def told(value: float | None) -> Estimate:
    return {"value": value, "low": value, "high": value}


def found(hit: float | None, margin: float | None, auc: float | None) -> dict[str, Any]:
    def rules(left: float | None) -> dict[str, Any]:
        shares = {"left": told(left), "same": told(left), "mirrored": told(left), "auc": told(auc)}
        return {"native": shares, "bapa": shares}

    probe = {"rows": 1, "cols": 4, "slots": "images:4"}
    return {
        "probe": probe,
        "rules": {"hit": rules(hit), "margin": rules(margin)},
        "verdict": {"quantity": "margin" if margin and not hit else "hit"},
    }


@pytest.mark.parametrize(
    ("hit", "margin", "auc", "spoken", "heads"),
    [
        (1.0, 1.0, 0.9, "hit rate", ["Rule", "Spread left", "Map as before", "Map turned around", "AUC"]),
        (None, 1.0, None, "margin", ["Rule", "Spread left", "Map as before", "Map turned around"]),
    ],
)
def test_rules_are_told_by_what_has_a_spread(
    hit: float | None, margin: float | None, auc: float | None, spoken: str, heads: list[str]
) -> None:
    (text,) = origin._rules(found(hit, margin, auc))
    assert f"variance of the {spoken} over the images" in text
    assert re.findall(r"<th[^>]*>([^<]+)</th>", text)[: len(heads)] == heads
    assert ("present and absent" in text) == (auc is not None)
    assert "–" not in text


def test_rules_without_any_spread_have_no_table() -> None:
    assert not list(origin._rules(found(None, None, None)))
    (text,) = origin._rules(found(None, None, 0.9))
    assert "Under other position rules and masks: how well present and absent are told apart." in text
    assert "Spread" not in text
    by_hits = {**found(None, 1.0, None), "verdict": {"quantity": "hit"}}
    assert not list(origin._rules(by_hits)), "of margins only where the verdict goes by them"


@pytest.mark.parametrize(("rows", "cols", "stacked"), [(3, 3, False), (1, 4, True)])
def test_rows_of_images_are_drawn_one_below_the_other(rows: int, cols: int, stacked: bool) -> None:
    canvas = np.zeros((24 * rows, 24 * cols, 3), np.uint8)
    places = np.array([[0.5, 0.2], [0.5, 0.8]])
    shown = {"native": [0.2, 0.8], "bapa": [0.5, 0.5]}
    maps = {"probe": {"rows": rows, "cols": cols}, "occlusion": {"maps": np.ones((rows * cols, rows, cols)).tolist()}}
    for figure, count in (
        (overlay(canvas, shown, places, 0, rows, cols), 3),
        (origin_figures.occlusion(maps), rows * cols),
    ):
        figure.draw_without_rendering()
        boxes = [ax.get_position() for ax in figure.axes[:count]]
        lefts = {round(box.x0, 2) for box in boxes}
        assert (len(lefts) == 1) == stacked
        drawn = sum(box.width * box.height for box in boxes)
        assert drawn > 0.4, "most of the sheet is picture"


def test_the_command_addresses_the_model_as_it_was() -> None:
    model = {"name": "m", "fingerprint": "f", "processor": {"a": "b"}, "attention": "eager", "opening": "yes? "}
    told = {"model": model, "probe": {"path": "p"}, "options": asdict(Options())}
    asked = ["--load", "attention=eager", "--opening", "yes? "]
    base = ["bapa", "origin", "m", "--probe", "p", "--out", "run", *asked]
    assert [*origin._command(told, Path("run"))] == base, "of older records, which do not tell where they ran"
    told["run"] = {"device": "cpu", "dtype": "float32"}
    assert [*origin._command(told, Path("run"))] == base
    told["run"] = {"device": "cuda", "dtype": "bfloat16"}
    assert [*origin._command(told, Path("run"))] == [*base, "--device", "cuda", "--dtype", "bfloat16"]


@pytest.mark.parametrize(
    ("held_out", "on"),
    [
        ({"held_out": True}, "the other images and other items,"),
        ({"held_out": False}, "the same items in the other images,"),
        ({}, "the other images,"),  # an older record
    ],
)
def test_what_linear_probes_were_fitted_on(held_out: dict[str, bool], on: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin_figures, "has_shares", lambda found: False)
    monkeypatch.setattr(origin, "picture", lambda draw, words: words)
    record = found(None, None, None)
    record["verdict"]["sentence"] = "Unknown."
    record |= {"encoder": {"probes": {"identity": held_out}}, "occlusion": None, "flow": None, "not_done": {}}
    assert f"linear probes fitted on {on} tried on this image" in " ".join(origin._body(record, Path("run")))
