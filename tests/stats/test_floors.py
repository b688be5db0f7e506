"""How far figures move where nothing that matters was changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bapa.errors import RunError
from bapa.measure import Run, measure
from bapa.stats import Settings
from bapa.stats.bias import bias
from bapa.stats.floors import null_arms, seed_noise
from tests.stats.planted import answers

QUICK = Settings(resamples=50)
BOTTOM = np.repeat([0.3, 0.6, 0.97], 3)


def test_the_null_arm_counts_every_flip_and_the_largest_move():
    found = answers({"native": 0.7}, 20)
    table = pd.concat([found, found.assign(scheme="null")], ignore_index=True)
    assert null_arms(table) == {"null": {"answers": 20 * 9 * 3, "flips": 0, "largest_margin_difference": 0}}

    def change(item, cell, question, column, value):
        its = (table[["item", "cell", "question"]] == [item, cell, question]).all(axis=1) & (table["scheme"] == "null")
        table.loc[its, column] = value(table.loc[its, column])

    table["correct"] = table["correct"].astype(object)
    change(3, 4, "present", "correct", lambda right: not right.item())
    change(5, 0, "present", "margin", lambda margin: margin + 0.25)
    change(7, 7, "present", "correct", lambda right: None)  # failed, so there is nothing to compare
    expected = {"answers": 20 * 9 * 3 - 1, "flips": 1, "largest_margin_difference": pytest.approx(0.25)}
    assert null_arms(table)["null"] == expected
    change(0, 0, "near_miss", "correct", lambda right: not right.item())
    assert null_arms(table)["null"] == {**expected, "flips": 2}


@pytest.mark.parametrize("others", [("absent", "lure"), ("where_row", "where_col")])
def test_the_null_arm_counts_questions_that_no_rate_is_made_of(others):
    """Beside lures, questions about what is absent; beside a question by yes and no, where the target stands."""
    kinds = {"near_miss": others[0], "absent": others[1]}
    found = answers({"native": 0.7}, 20).replace({"kind": kinds, "question": kinds})
    null = found.assign(scheme="null")
    flipped = null["kind"] == others[0]
    null.loc[flipped, "correct"] = ~null.loc[flipped, "correct"]
    null.loc[flipped, "margin"] += 4
    moved = bias(pd.concat([found, null], ignore_index=True), rows=3, cols=3, settings=QUICK)["floors"]["null"]
    assert moved == {"answers": 20 * 9 * 3, "flips": 20 * 9, "largest_margin_difference": pytest.approx(4)}


def test_a_null_scheme_is_a_floor_of_a_real_run(tiny, probe, tmp_path):
    run = measure(tiny, probe, ["native", "null", "null:k=7"], tmp_path / "run", items=2, audit=0, statistics=QUICK)
    assert list(run.bias["floors"]) == ["null", "null:k=7"]
    for floor in run.bias["floors"].values():
        assert floor["answers"] == 2 * 9 * 3  # about the target, its lure and what is absent
        assert floor["flips"] == 0
        assert 0 < floor["largest_margin_difference"] < 1e-3


def test_without_native_there_is_nothing_to_hold_the_null_arm_against():
    assert bias(answers({"null": 0.7}, 10), rows=3, cols=3, settings=QUICK)["floors"] == {}
    assert bias(answers({"native": 0.7}, 10), rows=3, cols=3, settings=QUICK)["floors"] == {}


def run_of(path, seed, *, schemes=("native", "bapa"), weights=None, probe="p", items=60):
    rates = {"native": BOTTOM, "bapa": 0.9, "null": BOTTOM}
    found = bias(answers({s: rates[s] for s in schemes}, items, seed=seed), rows=3, cols=3, settings=QUICK)
    found["model"] = {"name": "m", "fingerprint": weights or f"w{seed}"}
    found["probe"] = {"fingerprint": probe, "items": items}
    return Run(path / str(seed), {}, found)


def test_the_spread_over_seeds(tmp_path):
    runs = [run_of(tmp_path, seed) for seed in range(3)]
    noise = seed_noise(runs)
    assert noise.runs == ("m (0)", "m (1)", "m (2)")
    assert list(noise.overall) == ["native", "bapa"]
    hits = [run.bias["schemes"]["bapa"]["overall"]["hit"]["value"] for run in runs]
    spread = noise.overall["bapa"]["hit"]
    assert spread.values == tuple(hits)
    assert (spread.low, spread.high) == (min(hits), max(hits))
    assert spread.sd == pytest.approx(np.std(hits, ddof=1))
    change = noise.differences["native", "bapa", "range"].values
    ranges = [[run.bias["schemes"][s]["overall"]["range"]["value"] for s in ("native", "bapa")] for run in runs]
    assert change == pytest.approx([after - before for before, after in ranges])


def test_schemes_that_a_seed_lacks_are_left_out(tmp_path):
    noise = seed_noise([run_of(tmp_path, 0), run_of(tmp_path, 1, schemes=("bapa",))])
    assert list(noise.overall) == ["bapa"]
    assert noise.differences == {}


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"weights": "w0"}, "runs of the same weights; the noise floor needs models trained with other seeds"),
        ({"probe": "q"}, r"other probes \(fingerprint q and p\)"),
        ({"items": 50}, r"other probes \(items 50 and 60\)"),
        ({"schemes": ("null",)}, "share no scheme"),
    ],
)
def test_what_is_no_other_seed_is_refused(tmp_path, other, says):
    with pytest.raises(RunError, match=says):
        seed_noise([run_of(tmp_path, 0), run_of(tmp_path, 1, **other)])


def test_one_run_has_no_spread(tmp_path):
    with pytest.raises(RunError, match="--noise-floor"):
        seed_noise([run_of(tmp_path, 0)])
