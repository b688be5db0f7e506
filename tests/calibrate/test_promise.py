"""Calibration under a promise: what a rule keeps, who leaves, what is chosen, and one search from end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bapa
from bapa.calibrate import calibrate, load_calibration
from bapa.calibrate.cost import Cost, cost
from bapa.calibrate.criteria import evenness
from bapa.calibrate.frontier import Frontier, Point, point, read
from bapa.calibrate.halving import rounds
from bapa.calibrate.kept import holds, kept, short
from bapa.calibrate.pace import Pace
from bapa.calibrate.promised import LEAST, PromisedSearch
from bapa.calibrate.space import NAMED, near, space
from bapa.checkpoints import load
from bapa.errors import ConfigError
from bapa.probe import Design, Probe, build
from bapa.report import calibration as page
from bapa.report import frontier as told
from bapa.schemes import parse
from bapa.stats import Settings

CELLS = 9
SETTINGS = Settings(resamples=20)


def rows(scheme: str, right: np.ndarray, margins: np.ndarray | None = None) -> pd.DataFrame:
    """Answers under ``scheme`` to one question an item and cell, (items, cells): right or not. With ``margins``, of the
    question about what is there, the answers are those of a yes/no probe that also asks about what is not.
    """
    lines = []
    for item, cell in np.ndindex(right.shape):
        about = {"item": item, "cell": cell, "scheme": scheme}
        margin = 1.0 if margins is None else margins[item, cell]
        lines.append(
            {**about, "question": "a", "kind": "present", "correct": bool(right[item, cell]), "margin": margin}
        )
        if margins is not None:
            lines.append(
                {**about, "question": "b", "kind": "absent", "correct": True, "margin": -1.0 + 0.1 * (item % 3)}
            )
    return pd.DataFrame(lines)


def some(rate: float, items: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((items, CELLS)) < rate


def test_kept_is_the_quotient_of_right_answers_on_the_same_items() -> None:
    native, rule = some(0.9), some(0.9) & some(0.8, seed=1)
    found = kept(rows("native", native), rows("x", rule), CELLS, SETTINGS)
    assert found["value"] == pytest.approx(rule.mean() / native.mean())
    assert found["low"] < found["value"] < found["high"]  # type: ignore[operator]
    fewer = kept(rows("native", native), rows("x", rule[:10]), CELLS, SETTINGS)
    assert fewer["value"] == pytest.approx(rule[:10].mean() / native[:10].mean())
    assert fewer["low"] < found["low"]  # type: ignore[operator]


def test_kept_covers_the_truth_about_as_often_as_it_says() -> None:
    """Native right at .9, the rule at .9 * .85 of it: the interval of one in many draws holds .85."""
    inside = []
    for seed in range(30):
        native = some(0.9, seed=2 * seed)
        found = kept(rows("native", native), rows("x", native & some(0.85, seed=2 * seed + 1)), CELLS, SETTINGS)
        inside.append(found["low"] <= 0.85 <= found["high"])  # type: ignore[operator]
    assert np.mean(inside) >= 0.86


def test_what_no_item_tells_apart_is_not_certain() -> None:
    native = some(0.9)
    found = kept(rows("native", native), rows("x", native), CELLS, SETTINGS)
    assert found["value"] == 1
    assert found["low"] < 0.95


def test_native_keeps_all_of_itself() -> None:
    native = rows("native", some(0.9))
    assert kept(native, native, CELLS, SETTINGS) == {"value": 1, "low": 1, "high": 1}


def test_holding_counts_the_lower_bound_and_leaving_gives_the_benefit_of_doubt() -> None:
    found = {"value": 0.95, "low": 0.89, "high": 1.0}
    assert holds(found, 0.89)
    assert not holds(found, 0.9)
    assert short({"value": 0.85, "low": 0.7, "high": 1.0}, 0.9) == 0
    assert short({"value": 0.35, "low": 0.0, "high": 1.0}, 0.9) == pytest.approx(0.45)
    assert short({"value": 0.35, "low": None, "high": None}, 0.9) == pytest.approx(0.55)


def test_evenness_prefers_right_everywhere_and_punishes_blindness() -> None:
    right, wrong = np.full((2, CELLS), 4.0), np.full((2, CELLS), -4.0)
    half = np.where(np.arange(CELLS) < 4, 4.0, -4.0)[None].repeat(2, 0)
    scores = [evenness(rows("x", m > 0, m), CELLS).mean() for m in (right, half, wrong)]
    assert scores[0] > scores[2] > scores[1]


def test_every_candidate_is_a_rule_that_reads_back_and_no_two_are_alike() -> None:
    found = space(4)
    assert len(set(found)) == len(found)
    assert found[: len(NAMED)] == list(NAMED)
    assert [parse(label).label for label in found] == found
    options = {name for label in found for name in parse(label).options}
    assert {"distance", "delta", "pairs", "layers", "channels", "blend"} <= options
    late = {"bapa:layers=20%-100%,blend=0.6", "bapa:layers=30%-100%,blend=0.7"}  # told by depth
    assert {"bapa:pairs=cross", *late} <= set(found)
    assert late <= set(space(30))
    assert not any(label.startswith("bapa:layers") for label in space(1))
    around = near("calibrated:channels=wave<0.6x+wave>5.8x,distance=1x", 4)
    assert around
    assert all("wave<0.6x+wave>5.8x" in label for label in around)
    assert near("imccd", 4) == []


def estimate(value: float, low: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": value if low is None else low, "high": 1.0}


def at(name: str, span: float, share: float, worst: float = 0.9, items: int = 32, even: float = 0.8) -> Point:
    return Point(name, items, estimate(span), estimate(worst), estimate(0.95), even, {"where": estimate(share)})


def test_the_evenest_rule_that_keeps_its_promise_is_chosen() -> None:
    points = [
        at("native", 0.2, 1),
        at("even", 0.01, 0.5),
        at("a", 0.1, 0.95),
        at("b", 0.05, 0.92),
        at("c", 0.0, 0.99, items=8),
    ]
    assert Frontier(0.9, tuple(points)).chosen == "b"
    assert Frontier(0.94, tuple(points)).chosen == "a"
    assert Frontier(0.96, tuple(points)).chosen is None
    assert [one.candidate for one in Frontier(0.9, tuple(points)).best] == ["even", "b", "a", "native"]
    lower = replace(points[3], worst=estimate(0.5))
    assert Frontier(0.9, (*points[:3], lower)).chosen == "a"  # no worse worst cell than native
    doubt = replace(points[3], kept={"where": estimate(0.92, 0.89)})
    assert Frontier(0.9, (*points[:3], doubt)).chosen == "a"


def test_ranges_less_than_a_point_apart_tie_and_the_margins_decide() -> None:
    points = (at("native", 0.2, 1), at("a", -0.05, 0.95, even=0.7), at("b", 0.003, 0.95, even=0.9))
    assert Frontier(0.9, points).chosen == "b"
    assert Frontier(0.9, (*points, at("c", 0.02, 0.95, even=0.95))).chosen == "b"  # two points more are no tie
    saturated = (at("native", 0.001, 1, even=0.85), *points[1:])
    assert Frontier(0.9, saturated).chosen == "b"  # where native itself is even, its margins still are not


def test_a_record_reads_back() -> None:
    found = Frontier(0.9, (at("native", 0.2, 1), at("a", 0.1, 0.95)))
    assert read(json.loads(json.dumps(found.record()))) == found


def test_without_absent_questions_the_point_is_of_hits() -> None:
    found = point("x", rows("x", some(0.7)), {}, CELLS, SETTINGS)
    assert found.mean["value"] == pytest.approx(some(0.7).mean())
    assert found.items == 40


class Fake:
    """Answers of made-up rules: ``skew`` moves the margins of the first cells, ``place`` how often places are known."""

    def __init__(self, match: bool, rules: dict[str, tuple[float, float]], items: int) -> None:
        self.match, self.rules, self.asked = match, rules, []
        self.probe = SimpleNamespace(items=range(items), cells=CELLS)

    def ask(self, name: str, start: int, stop: int, candidates: list[str]) -> pd.DataFrame:
        self.asked.append((name, start, stop, len(candidates)))
        found = []
        for label in candidates:
            skew, place = self.rules[label]
            rng = np.random.default_rng([start, self.match])  # the same items whatever the rule
            draws = rng.random((stop - start, CELLS)), rng.normal(size=(stop - start, CELLS))
            margins = 2 - skew * (np.arange(CELLS) < 3) + draws[1]
            its = rows(label, margins > 0, margins) if self.match else rows(label, draws[0] < place)
            found.append(its.assign(item=its["item"] + start))
        return pd.concat(found, ignore_index=True)


def searched(rules: dict[str, tuple[float, float]], keep: float, items: int = 32) -> tuple[PromisedSearch, Frontier]:
    match, guard = Fake(True, rules, items), Fake(False, rules, items)
    search = PromisedSearch(match, {"where": guard}, items, keep, SETTINGS)  # type: ignore[arg-type]
    return search, search.run(list(rules), 4)


OTHERS = {f"stride:delta={n / 16:g}": (2.5, 0.4 + 0.02 * n) for n in range(1, 6)}
RULES = {"native": (3.0, 0.97), "bapa": (0.0, 0.34), "imccd": (2.8, 0.9), "cmpc": (2.9, 0.9), **OTHERS}


def test_a_search_finds_the_even_rule_that_keeps_its_promise() -> None:
    good = {"concentric": (0.3, 0.96), "manhattan": (0.0, 0.6), "pyramid": (1.5, 0.96)}
    search, found = searched({**RULES, **good}, 0.9)
    assert found.chosen == "concentric"
    assert Frontier(0.999, found.points).chosen is None  # nor is the least uneven taken where a promise is broken
    items = {one.candidate: one.items for one in found.points}
    assert all(items[name] == 32 for name in (*NAMED, "concentric"))
    assert min(items.values()) == 2
    asked = sum((stop - start) * many for _, start, stop, many in search.match.asked)  # type: ignore[attr-defined]
    told_before = cost(Pace(0, 1, 0), (len(RULES) + len(good),), len(NAMED), LEAST, 32, 1)
    assert asked == told_before.pairs == told_before.seconds


def test_the_cost_is_told_in_pairs_and_seconds() -> None:
    found = cost(Pace(1.0, 0.5, 0), (20, 4), 4, 6, 8, 3)
    named = cost(Pace(1.0, 0.5, 0, usual=2.0), (20, 4), 4, 6, 8, 3)
    assert named.seconds == pytest.approx(found.seconds + 24 * 2)  # once for each candidate
    sizes = [stop - start for start, stop in rounds(8)]
    assert sizes == [2, 2, 4]
    pairs = 2 * 20 + 2 * (4 + 8) + 4 * (4 + 6) + 2 * 4 + 2 * 4 + 4 * 4
    assert (found.pairs, found.candidates, found.probes) == (pairs, 24, 3)
    assert found.seconds == pytest.approx(3 * (16 + 0.5 * pairs))
    line = told.cost(found)
    assert str(found.pairs) in line
    assert "3 probes" in line
    assert "min" in line


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Probe, Probe]:
    folder = tmp_path_factory.mktemp("promise")
    where = Design(task="where", lines=("row",), items=12, seed=6)
    return build("digits", folder / "match", Design(items=12, seed=5)), build("digits", folder / "where", where)


FEW = (*NAMED, "calibrated:distance=1x", "calibrated:pairs=text-to-image,channels=wave<0.6x+wave>5.8x,distance=1x")
OPTIONS: dict[str, Any] = {"items": 4, "held_out": 4, "statistics": SETTINGS, "keep": 0.5}


@pytest.fixture(scope="module")
def done(probes: tuple[Probe, Probe], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out, costs = tmp_path_factory.mktemp("promised") / "places", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bapa.calibrate.promise.space", lambda _: list(FEW))
        patch.setattr("bapa.calibrate.promise.near", lambda *_: [])
        patch.setattr("bapa.calibrate.promised.near", lambda *_: [])
        model = load("reference:places")
        found = calibrate(model, probes[0], out, guards=[probes[1]], tell=costs.append, **OPTIONS)
    assert [type(one) for one in costs] == [Cost]
    assert costs[0].candidates == len(FEW)
    assert costs[0].probes == 2
    page.write(found.found, out / "calibration")
    return out


def test_a_promised_calibration_is_the_model_under_its_choice(done: Path) -> None:
    found = load_calibration(done)
    assert found.frontier is not None
    assert {one.candidate for one in found.frontier.points} == set(FEW)
    assert found.frontier.chosen in (None, *FEW)
    assert found.chosen == (found.frontier.chosen or "native")
    shared = next(one for one in found.frontier.points if one.candidate == "calibrated:distance=1x")
    assert shared.least < 0.6  # a shared position blinds this model to rows
    loaded = bapa.scheme_of(bapa.from_pretrained(done))
    assert (loaded.label if loaded else "native") == found.chosen


def test_the_promise_is_judged_on_other_items(done: Path) -> None:
    (guard,) = load_calibration(done).guards
    assert guard["others"] is True  # the probe has 12, of which 4 picked
    assert {rule["items"] for rule in guard["rules"]} == {4}
    native = next(rule for rule in guard["rules"] if rule["candidate"] == "native")
    assert native["kept"]["value"] == 1


def test_the_page_draws_the_frontier_and_names_the_rules(done: Path) -> None:
    html = (done / "calibration" / "calibration.html").read_text()
    assert "The frontier" in html
    assert "keep" in html
    svg = (done / "calibration" / "frontier-light.svg").read_text()
    assert all(name in svg for name in ("native", "the paper", "IMCCD", "CMPC", "promise"))
    lines = (done / "calibration" / "frontier.csv").read_text().splitlines()
    assert len(lines) == 1 + len(FEW)
    assert "kept_where" in lines[0]


@pytest.mark.parametrize(("keep", "guarded", "message"), [(1.2, True, "keep = 1.2"), (0.9, False, "--guard WHERE")])
def test_a_promise_that_cannot_be_given(
    probes: tuple[Probe, Probe], tmp_path: Path, keep: float, guarded: bool, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        calibrate(
            load("reference:places"),
            probes[0],
            tmp_path / "out",
            guards=[probes[1]] if guarded else [],
            **{**OPTIONS, "keep": keep},
        )


def test_an_item_without_absent_questions_still_counts() -> None:
    margins = np.full((3, CELLS), 3.0)
    answers = rows("x", margins > 0, margins)
    less = answers[~((answers["item"] == 1) & (answers["kind"] == "absent"))].reset_index(drop=True)
    assert np.isfinite(evenness(less, CELLS)).all()
    assert evenness(less, CELLS)[0] == evenness(answers, CELLS)[0]
