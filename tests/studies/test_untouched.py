"""The endpoints of studies/where/PLAN.md on models whose figures are made up."""

from __future__ import annotations

from typing import Any

import pytest
from scipy import stats

from bapa.calibrate.frontier import Frontier, Point
from studies.where import untouched

FITTED = "calibrated:pairs=text-to-image,shares=0:0f,distance=1x"


def estimate(value: float) -> dict[str, Any]:
    return {"value": value, "low": value, "high": value}


def at(rule: str, spread: float, worst: float, rows: float, order: float) -> Point:
    kept = {"where": estimate(rows), "order": estimate(order)}
    return Point(rule, 40, estimate(spread), estimate(worst), estimate(worst), 0.5, kept)


def asked(native: float, after: float, rows: float = 0.8, chosen: str = FITTED) -> dict[str, Any]:
    points = (at("native", native, 0.8, 1, 1), at("bapa", 0.0, 0.7, 0.4, 0.5), at(FITTED, after, 0.9, 0.97, 0.95))
    accuracy, spread = {"native": 0.7, "bapa": 0.75, FITTED: 0.9}, {"native": 0.5, "bapa": 0.0, FITTED: 0.2}
    return {
        "chosen": chosen,
        "fresh": Frontier(0.9, points).record(),
        "rates": {"where": {"native": estimate(rows)}},
        "refitted": {
            rule: {"balanced_accuracy": estimate(accuracy[rule]), "range": estimate(spread[rule])} for rule in accuracy
        },
    }


def test_a_model_is_judged_when_it_is_uneven_and_knows_rows() -> None:
    assert untouched.is_judged(asked(0.05, 0.01))
    assert not untouched.is_judged(asked(0.049, 0.01))
    assert not untouched.is_judged(asked(0.2, 0.01, rows=0.49))


def test_the_endpoints_are_those_of_the_chosen_rule() -> None:
    found = untouched.endpoints(asked(0.2, 0.05))
    expected = (-0.15, 0.25, 0.1, 0.97, 0.95, 0.2, 0.15, -0.3)
    assert list(found.values()) == pytest.approx(expected)
    assert untouched.endpoints(asked(0.2, 0.05, chosen="native"))["AUC range of native's"] == 1.0


def test_over_models_stand_mean_interval_p_seeds_and_what_is_missing() -> None:
    fit = {
        "places-top-4": asked(0.20, 0.05),
        "places-center-4": asked(0.30, 0.05),
        "places-top-5": asked(0.10, 0.08),
        "places-bottom-5": asked(0.01, 0.0),
        "places-top-1": asked(0.9, 0.0),  # not of the plan
    }
    told = untouched.over_models(fit)
    first = next(line for line in told.splitlines() if line.startswith("| AUC range less"))
    values = [-0.15, -0.25, -0.02]
    span = stats.t.interval(0.95, 2, sum(values) / 3, stats.sem(values))
    assert first.split("|")[2:7] == [
        " −14.0 ",
        f" −{-100 * span[0]:.1f} to {100 * span[1]:.1f} ",
        f" p = {stats.ttest_1samp(values, 0).pvalue:.2g} ",
        " −20.0, −2.0 ",
        " −15.0, −25.0, −2.0 ",
    ]
    assert "Asked and not judged: places-bottom-5." in told
    assert "Not measured yet: places-bottom-4, places-center-5." in told


def test_of_two_models_nothing_is_said_over_models() -> None:
    told = untouched.over_models({"places-top-4": asked(0.2, 0.05), "places-top-5": asked(0.2, 0.05)})
    assert "too few" in told
    assert "|" not in told
