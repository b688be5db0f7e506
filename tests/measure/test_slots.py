"""Runs over other slots than cells: what is asked, what the record says, what is found of planted answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bapa.calibrate import calibrate
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError, ModelError
from bapa.measure import Run, measure
from bapa.measure.together import statistics, together
from bapa.origin import explain
from bapa.probe import Design, Probe, build
from bapa.probe.slots import Slots
from bapa.report import claims, words
from bapa.schemes import parse
from bapa.stats import Settings
from bapa.stats.bias import bias
from studies.slots.run import planted
from studies.slots.scripted import Scripted, redrawn, true_auc
from studies.slots.trained import PAIRS
from tests.measure.conftest import QUICK, measured


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("digits", tmp_path_factory.mktemp("probes") / "two", Design(slots="images:2", items=24))


@pytest.fixture(scope="module")
def paged(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("page")
    probe = build("digits", folder / "probe", Design(slots="page", task="evidence", items=12, cell=120))
    script = Scripted(planted(9, "steep"))
    return measure(script, probe, ["native", "bapa"], folder / "run", audit=0, statistics=QUICK)


def scripted(kind: str, truth: str, folder: Path, seed: int = 0, items: int = 100) -> Run:
    probe = build("digits", folder / "probe", Design(slots=kind, items=items))
    script = Scripted(planted(probe.cells, truth), seed)
    return measure(script, probe, ["native", "bapa"], folder / f"{truth}", audit=0, statistics=Settings())


def test_two_images_of_one_prompt_share_their_prefill(tiny: Loaded, two: Probe, tmp_path: Path) -> None:
    run = measured(tiny, two, tmp_path / "run", audit=6, items=8)
    answers = run.answers()
    assert sorted(answers["cell"].unique()) == [0, 1]
    asked = sum(len(two.questions(item, slot)) for item in two.items[:8] for slot in range(2))
    assert len(answers) == 2 * asked, "under two schemes"
    assert answers["error"].isna().all()
    assert run.config["prefill"] == "shared"
    assert run.config["audit"]["answers"] > 0
    assert not run.config["audit"]["flips"], "the same answers with nothing shared"
    assert {name: run.bias["probe"][name] for name in ("slots", "rows", "cols")} == {
        "slots": "images:2",
        "rows": 1,
        "cols": 2,
    }


def test_a_grid_is_recorded_as_before(run: Run) -> None:
    assert "slots" not in run.bias["probe"]


def test_calibrate_takes_images_and_origin_refuses_clips(tiny: Loaded, two: Probe, tmp_path: Path) -> None:
    clips = build("digits", tmp_path / "clips", Design(slots="frames:3", items=8))
    with pytest.raises(ConfigError, match=r"frames of one clip, and bapa origin exchanges"):
        explain(tiny, clips, tmp_path / "origin")
    assert not (tmp_path / "origin").exists()
    found = calibrate(tiny, two, tmp_path / "calibrated", items=4, held_out=4, steps=2, statistics=QUICK)
    assert found.found["config"]["probe"]["slots"] == "images:2"
    assert len(found.held_out["native"]["cells"]) == 2


def test_clips_are_refused_by_a_model_without_videos(tiny: Loaded, tmp_path: Path) -> None:
    clips = build("digits", tmp_path / "clips", Design(slots="frames:3", items=8))
    for verb in (
        lambda: measured(tiny, clips, tmp_path / "run"),
        lambda: calibrate(tiny, clips, tmp_path / "run", items=4),
    ):
        with pytest.raises(ModelError, match="takes no videos"):
            verb()
    assert not (tmp_path / "run").exists()


DRAWS = 10


@pytest.mark.parametrize("kind", ["images:8", "frames:10"])
def test_planted_bias_is_found_in_the_words_of_its_slots(kind: str, tmp_path: Path) -> None:
    steep = scripted(kind, "steep", tmp_path)
    assert claims.reading(steep.bias, "native") == "uneven"
    assert claims.reading(steep.bias, "bapa") != "uneven"
    assert f"between {kind.split(':')[0]}" in words.findings(steep.bias)[0]


def test_planted_bias_is_found_with_its_size_and_none_where_there_is_none(tmp_path: Path) -> None:
    """Ten draws of each truth, none of them picked: an interval of 90 % would miss this bound with one in 7000 choices
    of ten, a test of 5 % with one in 15,000.
    """
    rates = {truth: planted(8, truth) for truth in ("steep", "even")}
    true = float(np.ptp(true_auc(rates["steep"]["native"][[0, -1]], 20_000)))
    run = scripted("images:8", "even", tmp_path)
    answers = run.answers()
    found = {
        truth: [
            {**run.bias, **bias(redrawn(answers, rates[truth], seed), rows=1, cols=8, settings=Settings(seed=seed))}
            for seed in range(DRAWS)
        ]
        for truth in rates
    }
    ranges = [told["schemes"]["native"]["overall"]["auc_range"] for told in found["steep"]]
    assert sum(one["low"] <= true <= one["high"] for one in ranges) >= 5
    assert sum(claims.reading(told, "native") == "uneven" for told in found["steep"]) >= 8
    for truth, label in (("even", "native"), ("steep", "bapa")):
        assert sum(claims.reading(told, label) == "uneven" for told in found[truth]) <= 4, (truth, label)


def test_answers_drawn_anew_follow_the_rule_of_the_script(tmp_path: Path) -> None:
    run = scripted("images:8", "steep", tmp_path)
    answers = run.answers()
    again = redrawn(answers, planted(8, "steep"), 1)
    assert list(again) == list(answers)
    assert not again["margin"].equals(answers["margin"])
    for drawn in (answers, again):
        given = drawn["correct"].astype(float)
        asked = drawn["scheme"] == "native"
        first, last = (given[asked & (drawn["kind"] == "present") & (drawn["cell"] == cell)].mean() for cell in (0, 7))
        alarms = 1 - given[asked & (drawn["kind"] != "present")].mean()
        # An item's ease, of one logit, draws rates towards a half; three standard errors.
        assert first == pytest.approx(0.335, abs=0.16)
        assert last == pytest.approx(0.865, abs=0.11)
        assert alarms == pytest.approx(0.075, abs=0.04)


def test_the_rules_of_the_trained_models_go_by_their_labels() -> None:
    for own, one in (pair for pairs in PAIRS.values() for pair in pairs):
        assert (parse(own).label, parse(one).label) == (own, one), "answers are found by them"
        assert {parse(own).scope, parse(one).scope} >= {"image"}


def test_answer_and_region_count_together(paged: Run) -> None:
    answers = paged.answers()
    asked = answers[(answers["scheme"] == "native") & (answers["cell"] == 8)]
    both = []
    for _, item in asked.groupby("item"):
        right = item.set_index("kind")["correct"]
        both.append(bool(right["present"] and right["where_row"] and right["where_col"]))
    found = paged.bias["together"]["schemes"]["native"]["cells"][8]["hit"]["value"]
    assert found == pytest.approx(np.mean(both))
    assert 0 < found < 1
    alone = asked[asked["kind"] == "present"]["correct"].mean()
    hit = paged.bias["schemes"]["native"]["cells"][8]["hit"]["value"]
    assert hit == pytest.approx(alone), "hits are those of the yes/no question alone"
    assert hit > found


def test_what_failed_in_one_part_is_missing_together(paged: Run) -> None:
    answers = paged.answers().astype({"correct": object})
    answers.loc[answers.index[answers["kind"] == "where_row"][0], "correct"] = None
    joined = together(answers)
    assert joined is not None
    assert joined["correct"].isna().sum() == 1
    assert len(joined) == 12 * 9 * 2
    assert together(answers[answers["kind"] != "present"]) is None
    assert together(answers[~answers["kind"].str.startswith("where")]) is None
    first = answers.iloc[answers.index[answers["kind"] == "where_row"][0]]
    found = statistics(answers, Slots("page", 3, 3), QUICK)
    assert found is not None, "a run with a place that was not read can be finished"
    asked = [its["cells"][first["cell"]]["n"] for its in found["schemes"].values()]
    assert sorted(asked) == [11, 12], "one of twelve items is missing under one scheme"


def test_slopes_together_know_that_the_question_came_first(paged: Run) -> None:
    for first, along in ((True, 1), (False, -1)):
        found = statistics(paged.answers(), Slots("page", 3, 3), QUICK, question_first=first)
        assert found is not None
        slopes = found["schemes"]["native"]["slopes"]
        assert slopes["raster"]["value"] != 0
        assert slopes["text_distance"]["value"] == pytest.approx(along * slopes["raster"]["value"])
