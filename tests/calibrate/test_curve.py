"""Points of the curve, guards and pictures, from answers with a planted hit rate."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bapa.calibrate import curve
from bapa.calibrate.criteria import accuracy
from bapa.probe import Design, Probe, build
from bapa.probe.slots import Slots
from bapa.report import calibration as page
from bapa.report import calibration_figure as figure
from bapa.stats import Settings
from tests.stats.planted import answers

SETTINGS = Settings(resamples=50)
FAR = "calibrated:distance=1.5x"


def points(rates: dict[str, float], items: int = 60) -> list[curve.Point]:
    rows = answers(rates, items, spread=0)
    rows["answer"] = rows["margin"].gt(0).map({True: "yes", False: "no"})
    by_dial = {candidate: rows[rows["scheme"] == candidate] for candidate in rates}
    values = {candidate: accuracy(its, 9) for candidate, its in by_dial.items()}
    return curve.points(by_dial, values, 9, SETTINGS)


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("digits", tmp_path_factory.mktemp("guard") / "where", Design(items=2, task="where"))


def test_points_stand_by_distance_with_intervals_that_hold_the_planted_rate() -> None:
    found = points({FAR: 0.9, "bapa": 0.3, "calibrated:distance=1.5x,delta=0.3": 0.5})
    assert [(point["candidate"].partition(":")[0], point["distance"], point["delta"]) for point in found] == [
        ("bapa", 0, 0), ("calibrated", 1.5, 0), ("calibrated", 1.5, 0.3),
    ]  # fmt: skip
    for point, rate in zip(found, (0.3, 0.9, 0.5), strict=True):
        assert point["hit"]["low"] - 0.03 <= rate <= point["hit"]["high"] + 0.03
        assert point["items"] == 60
        assert point["range"]["low"] == 0


def test_a_rule_that_blinds_shows_in_its_guard(probe: Probe) -> None:
    told = curve.guard(probe, points({"native": 0.9, "bapa": 0.33, FAR: 0.85}))
    assert told["chance"] == pytest.approx(1 / 3)
    assert told["tells"]
    right = {rule["candidate"]: rule["hit"] for rule in told["rules"]}
    assert right["bapa"]["high"] < right["native"]["low"]


def test_what_the_choice_costs_is_said(probe: Probe) -> None:
    found = points({"native": 0.9, "bapa": 0.33, FAR: 0.88})
    judged = {point["candidate"]: point for point in found}
    its = {
        "held_out": judged,
        "against_native": {"says": "same", "difference": 0, "margin": 0.05},
        "thresholds": {},
        "apart": "captions",
        "config": {"probe": {"held_out": 60}},
        "guards": [curve.guard(probe, found)],
    }
    told = {choice: list(page.sentences({**its, "chosen": choice}))[-1] for choice in ("bapa", FAR)}
    assert "The choice costs" in told["bapa"]
    assert "costs" not in told[FAR]


def test_a_guard_the_model_fails_natively_tells_nothing(probe: Probe) -> None:
    assert not curve.guard(probe, points({"native": 0.33, "bapa": 0.33}))["tells"]


def test_native_positions_have_no_distance_and_are_a_line() -> None:
    drawn = figure.draw(points({"native": 0.6, "bapa": 0.3, FAR: 0.9}), FAR, [], dark=False)
    upper = drawn.axes[0]
    (hits,) = (marks.get_offsets().T for marks in upper.collections if marks.get_label() == "hits")
    assert list(hits[0]) == [0, 1.5]
    levels = [line.get_ydata()[0] for line in upper.lines if line.get_linestyle() == "--" and len(line.get_ydata())]
    assert levels[0] == pytest.approx(60, abs=6)
    assert "native positions" in [text.get_text() for text in upper.get_legend().get_texts()]


def test_pictures_and_table_hold_every_distance(tmp_path: Path, probe: Probe) -> None:
    rates = {"bapa": 0.3, "calibrated:distance=0.5x": 0.5, "calibrated:distance=1x": 0.7, FAR: 0.9}
    found = points(rates)
    guard = curve.guard(probe, points({"native": 0.9, **rates}))
    drawn = figure.draw(found, FAR, [guard], dark=False)
    upper = drawn.axes[0]
    marks = {drawn.get_label(): drawn.get_offsets().T for drawn in upper.collections}
    assert list(marks["hits"][0]) == [0, 0.5, 1, 1.5]
    assert list(marks["hits"][1]) == pytest.approx([100 * point["hit"]["value"] for point in found])
    told = [text.get_text() for text in drawn.axes[1].get_legend().get_texts()]
    assert "asked about 60 items" in told
    (native,) = (line for line in drawn.axes[2].lines if line.get_label() == "the same, natively")
    assert list(native.get_ydata()) == pytest.approx([90, 90], abs=6)
    told = next(line for line in drawn.axes[2].lines if line.get_label() == "side effect: where")
    assert list(told.get_ydata()) == pytest.approx([30, 50, 70, 90], abs=6)
    silent = figure.draw(found, FAR, [{**guard, "tells": False}], dark=True)
    assert len(silent.axes) == 2
    assert len(page.table(found).splitlines()) == 1 + len(rates)


def test_a_page_shows_what_was_asked_in_the_words_of_its_slots(tmp_path: Path) -> None:
    """Of which image shows it, say: nothing absent is asked about, so that there is no AUC and no false alarm."""
    nothing = {"value": None, "low": None, "high": None}
    unasked = ("auc", "auc_range", "balanced_accuracy", "false_alarm")
    found = [{**point, **dict.fromkeys(unasked, nothing)} for point in points({"native": 0.9, "bapa": 0.3, FAR: 0.8})]
    judged = {point["candidate"]: {**point, "cells": [point["hit"]] * 4} for point in found}
    told = {
        "config": {
            "model": {"name": "model"},
            "probe": {"items": 60, "held_out": 60, "slots": "images:4"},
            "statistics": {"level": 0.95},
            "search": {"criterion": "accuracy"},
        },
        "command": "bapa calibrate model",
        "bapa": "0",
        "chosen": FAR,
        "curve": found,
        "held_out": judged,
        "guards": [],
    }
    text = page.write(told, tmp_path).read_text("utf-8")
    heads = re.findall(r'<th scope="col">([^<]+)</th>', text)
    shown = ["mean hit rate", "range of the hit rate", "consistency"]
    assert heads == ["rule", "items", "score ± error", *shown, "rule", *shown, "hits image by image"]
    assert "cell" not in re.sub(r"<(style|script)>.*?</\1>|base64,[^\"]+", "", text, flags=re.DOTALL)
    assert "Picked by the mean share of right answers less its" in text
    keys = [
        entry.get_text()
        for ax in figure.draw(found, FAR, [], dark=False, say=Slots("images", 1, 4).say).axes
        for entry in ax.get_legend().get_texts()
    ]
    assert keys == [
        "hits",
        "native positions",
        "range over images",
        "same answer in all images",
        "asked about 60 items",
    ]
