"""The statistics find what was planted, call the unbiased unbiased, and agree with the libraries' plain forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.anova import AnovaRM

from bapa.stats import intervals, rates, significance, trials
from bapa.stats.bias import Settings, bias
from tests.stats.planted import answers, true_rates

BOTTOM = np.repeat([0.3, 0.6, 0.97], 3)
QUICK = Settings(resamples=300)


def measured(schemes, items, **options):
    return bias(answers(schemes, items, **options), rows=3, cols=3, settings=QUICK)


def covered(estimate, truth):
    return estimate["low"] <= truth <= estimate["high"]


@pytest.fixture(scope="module")
def planted():
    return bias(answers({"native": BOTTOM, "bapa": 0.97}, 400), rows=3, cols=3)


def test_a_planted_bias_is_recovered(planted):
    found, truth = planted["schemes"]["native"], true_rates(BOTTOM)
    for cell, rate in zip(found["cells"], truth, strict=True):
        assert cell["hit"]["value"] == pytest.approx(rate, abs=0.08)
    assert found["overall"]["range"]["value"] == pytest.approx(np.ptp(truth), abs=0.08)
    assert found["overall"]["range_split_half"]["value"] == pytest.approx(np.ptp(truth), abs=0.08)
    assert found["overall"]["variance_corrected"]["value"] == pytest.approx(truth.var(ddof=1), rel=0.15)
    assert found["worst_cell"] in (0, 1, 2)
    assert found["tests"]["cochran_q"]["p"] < 1e-6
    assert found["tests"]["permutation_range"]["p"] == 0.001
    assert found["slopes"]["row"]["value"] == pytest.approx((truth[8] - truth[0]) / 2, abs=0.03)
    assert found["slopes"]["row"]["low"] > 0.2
    assert covered(found["slopes"]["col"], 0)
    assert found["slopes"]["text_distance"]["high"] < 0


def test_schemes_are_told_apart(planted):
    overall = {row["quantity"]: row for row in planted["comparisons"] if "cell" not in row}
    assert overall["range"]["difference"]["high"] < -0.3
    assert overall["consistency"]["difference"]["low"] > 0.3
    assert overall["range"]["p_adjusted"] < 0.01
    assert overall["false_alarm"]["p_adjusted"] > 0.05
    by_cell = [row["p_adjusted"] < 0.01 for row in planted["comparisons"] if "cell" in row]
    assert by_cell == [True] * 6 + [False] * 3


def test_intervals_cover_the_truth_at_the_stated_rate():
    """Of 60 runs, intervals of 95 % miss in 3 on average; more than 9 misses has a chance below 1 in 1000."""
    runs, truth = 60, true_rates(BOTTOM)
    population = {"hit": truth.mean(), "range": np.ptp(truth), "worst_cell": truth.min(), "false_alarm": 0.05}
    population["variance_corrected"] = truth.var(ddof=1)
    misses = dict.fromkeys([*population, "cell", "slope"], 0)
    for seed in range(runs):
        found = measured({"native": BOTTOM}, 80, seed=seed)["schemes"]["native"]
        for name, value in population.items():
            misses[name] += not covered(found["overall"][name], value)
        misses["cell"] += not covered(found["cells"][4]["hit"], truth[4])
        misses["slope"] += not covered(found["slopes"]["row"], (truth[8] - truth[0]) / 2)
    assert max(misses.values()) <= 9, misses


def test_unbiased_answers_are_called_unbiased_at_the_stated_rate():
    """Of 120 unbiased runs a test at 5 % cries wolf in 6 on average; beyond 15 the chance is below 1 in 1000."""
    alarms = {"cochran": 0, "range": 0, "row": 0}
    for seed in range(120):
        hits = trials.read(answers({"a": 0.7}, 60, seed=seed), 9)["a"].hits
        alarms["cochran"] += significance.cochran(hits)["p"] < 0.05
        alarms["range"] += significance.range_within_items(hits, seed)["p"] < 0.05
        sample = intervals.bootstrap(
            lambda w, hits=hits: dict(enumerate([rates.mean(hits, w) @ np.repeat([-0.5, 0, 0.5], 3) / 3])),
            60,
            resamples=300,
            level=0.95,
            seed=seed,
        )
        alarms["row"] += not covered(sample.estimates[0], 0)
    assert all(count <= 15 for count in alarms.values()), alarms
    assert alarms["cochran"] >= 1, "a test that never errs is not one at 5 %"


def test_the_interval_of_an_unbiased_range_reaches_zero():
    """The plain bootstrap fails this in every run: resampling adds noise, and noise has a range."""
    runs = [measured({"a": 0.7}, 60, seed=seed)["schemes"]["a"]["overall"]["range"] for seed in range(60)]
    assert sum(estimate["low"] > 0 for estimate in runs) <= 9
    assert all(estimate["low"] <= estimate["value"] <= estimate["high"] for estimate in runs)


def test_schemes_that_do_not_differ_are_not_told_apart(monkeypatch):
    monkeypatch.setattr(significance, "DRAWS", 199)
    alarms = dict.fromkeys(("hit", "range", "consistency"), 0)
    for seed in range(60):
        found = trials.read(answers({"a": BOTTOM, "b": BOTTOM}, 60, seed=seed), 9)
        for name, p in significance.swap_schemes(found["a"], found["b"], seed).items():
            alarms[name] = alarms.get(name, 0) + (p < 0.05)
    assert all(count <= 9 for count in alarms.values()), alarms


def test_split_half_range_and_corrected_variance_are_free_of_selection_and_noise():
    plain, split, variance, corrected = [], [], [], []
    for seed in range(60):
        hits = trials.read(answers({"a": 0.7}, 40, seed=seed), 9)["a"].hits
        one = np.ones((1, 40))
        rate = rates.mean(hits, one)
        plain.append(np.ptp(rate))
        variance.append(rate.var(ddof=1))
        split.append(rates.split_half_range(hits, one)[0])
        corrected.append(rates.corrected_variance(hits, one)[0])
    assert np.mean(plain) > 0.1
    assert abs(np.mean(split)) < 3 * stats.sem(split) + 1e-9
    assert np.mean(variance) > 3 * stats.sem(variance)
    assert abs(np.mean(corrected)) < 3 * stats.sem(corrected)


def test_auc_is_sklearns_under_any_weights():
    rng = np.random.default_rng(0)
    signal, noise = np.round(rng.normal(1, 1, (30, 4, 1)), 1), np.round(rng.normal(0, 1, (30, 4, 2)), 1)  # with ties
    signal[3, 1] = np.nan
    weights = rng.integers(0, 4, (5, 30)).astype(float)
    found = rates.auc(signal, noise, weights)
    for draw, cell in np.ndindex(5, 4):
        margins = np.concatenate([signal[:, cell].ravel(), noise[:, cell].ravel()])
        labels = np.repeat([1, 0], [30, 60])
        each = np.concatenate([weights[draw], np.repeat(weights[draw], 2)])
        there = np.isfinite(margins)
        expected = roc_auc_score(labels[there], margins[there], sample_weight=each[there])
        assert found[draw, cell] == pytest.approx(expected)


def test_corrected_variance_is_the_component_of_a_repeated_measures_anova():
    hits = trials.read(answers({"a": BOTTOM}, 50), 9)["a"].hits
    item, cell = (axis.ravel() for axis in np.mgrid[:50, :9])
    frame = pd.DataFrame({"item": item, "cell": cell, "hit": hits.ravel()})
    table = AnovaRM(frame, "hit", "item", within=["cell"]).fit().anova_table
    means = hits.mean((0, 2))
    between = 50 * means.var(ddof=1)
    expected = (between - between / table["F Value"].iloc[0]) / 50
    assert rates.corrected_variance(hits, np.ones((1, 50)))[0] == pytest.approx(expected)


def test_weights_are_repeats():
    """An item of weight two counts like the same item twice."""
    found = trials.read(answers({"a": BOTTOM}, 20), 9)["a"]
    weight = np.arange(20) % 3
    doubled = trials.Trials(*(np.repeat(array, weight, 0) for array in vars(found).values()))
    places = rates.predictors(3, 3)
    one = rates.rates(found, weight[None].astype(float), places)
    two = rates.rates(doubled, np.ones((1, weight.sum())), places)
    for name in one.keys() - {"overall.range_split_half"}:  # its halves are drawn by item
        np.testing.assert_allclose(one[name], two[name], err_msg=name)


def test_slopes_follow_where_the_question_stands():
    after, before = rates.predictors(2, 3), rates.predictors(2, 3, question_first=True)
    assert after["text_distance"].tolist() == [5, 4, 3, 2, 1, 0]
    assert before["text_distance"].tolist() == [0, 1, 2, 3, 4, 5]
    assert after["row"].tolist() == [0, 0, 0, 1, 1, 1]
    assert after["ring"].tolist() == [1, 0.5, 1, 1, 0.5, 1]


def test_failures_are_left_out_and_not_counted_as_wrong():
    frame = answers({"a": 0.9}, 50).astype({"correct": object})
    frame.loc[(frame["item"] < 10) & (frame["cell"] == 2), ["correct", "margin"]] = None
    found = bias(frame, rows=3, cols=3, settings=QUICK)["schemes"]["a"]
    assert [cell["n"] for cell in found["cells"]] == [50, 50, 40, 50, 50, 50, 50, 50, 50]
    assert found["cells"][2]["hit"]["value"] > 0.7


def test_without_absent_questions_there_are_no_alarms():
    frame = answers({"a": 0.9}, 20)
    found = bias(frame[frame["kind"] == "present"], rows=3, cols=3, settings=QUICK)["schemes"]["a"]
    assert found["overall"]["false_alarm"] == {"value": None, "low": None, "high": None}
    assert found["overall"]["auc"]["value"] is None
    assert found["overall"]["hit"]["value"] is not None


def test_unanimous_shares_have_an_honest_interval():
    frame = answers({"a": 0.9}, 30).assign(correct=True)
    found = bias(frame, rows=3, cols=3, settings=QUICK)["schemes"]["a"]
    assert found["overall"]["consistency"]["value"] == 1
    low = found["overall"]["consistency"]["low"]
    assert 0.85 < low < 0.95
    assert found["overall"]["worst_cell"] == {"value": 1, "low": low, "high": 1}
    assert found["overall"]["range"] == {"value": 0, "low": 0, "high": 1 - low}
    assert found["tests"]["cochran_q"]["p"] == 1
    assert found["tests"]["permutation_range"]["p"] == 1


def test_one_item_has_values_and_no_bounds():
    found = bias(answers({"a": 0.9}, 1), rows=3, cols=3, settings=QUICK)["schemes"]["a"]["overall"]["hit"]
    assert found["value"] is not None
    assert found["low"] is None


def test_a_full_run_takes_seconds():
    import time

    frame = answers({"native": BOTTOM, "bapa": 0.97, "bapa:distance=native": 0.6}, 240)
    start = time.perf_counter()
    bias(frame, rows=3, cols=3)
    assert time.perf_counter() - start < 20
