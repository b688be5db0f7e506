"""The words study by planted truth: what is even, what turns with the positions, what stays with the order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from studies.answers import merged
from studies.words import ask, knowing, neighbours, page, picture, reading, run

GRADIENT = np.linspace(-0.06, 0.06, 9)
CROWDED = np.array([0.01, 0, 0.01, 0, -0.04, 0, 0.01, 0, 0.01])  # a middle that is worst under every rule


def pictures(level: NDArray[Any], rng: np.random.Generator, n: int = 240) -> NDArray[Any]:
    """Shares of so many pictures whose cells lie at ``level`` on average, as noisy as real ones."""
    return np.clip(0.8 + level + 0.2 * rng.standard_normal((n, 9)), 0, 1)


def halves(n: int = 240) -> reading.Halves:
    return reading.Halves.draw(np.ones((1, n)), 32, 1)


def test_no_picture_is_on_both_sides() -> None:
    counts = np.random.default_rng(0).multinomial(20, np.full(20, 0.05), 3).astype(float)
    drawn = reading.Halves.draw(counts, 4, 0)
    assert drawn.one.shape == (12, 20)
    assert not (drawn.one * drawn.two).any()
    assert (drawn.one + drawn.two == np.repeat(counts, 4, 0)).all()


def test_an_even_model_has_no_range_and_its_p_is_rarely_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SHUFFLES", 400)
    rng = np.random.default_rng(3)
    ranges, ps = [], []
    for seed in range(60):
        even = pictures(np.zeros(9), rng)
        ranges.append(reading.spread(halves(), even)[:, 0].mean())
        ps.append(reading.p_uneven(even, seed))
    assert abs(np.mean(ranges)) < 0.004
    assert np.mean(np.array(ps) < 0.05) <= stats.binom.ppf(0.99, 60, 0.05) / 60


def test_a_planted_range_is_found_without_being_flattered() -> None:
    rng = np.random.default_rng(4)
    found = [reading.spread(halves(), pictures(GRADIENT * 1.5, rng))[:, 0].mean() for _ in range(30)]
    true = np.ptp(np.mean([pictures(GRADIENT * 1.5, rng, 4000).mean(0) for _ in range(5)], 0))
    assert np.mean(found) == pytest.approx(true, abs=0.015)
    assert reading.p_uneven(pictures(GRADIENT, rng)) < 0.01


@pytest.mark.parametrize(("moves", "expected"), [(1.0, 1.0), (0.0, 0.0), (0.5, 0.5)])
def test_the_position_share_is_what_was_planted(moves: float, expected: float) -> None:
    """The part that positions carry turns under the reversed rule, the rest stays; a dark middle does not matter."""
    rng = np.random.default_rng(5)
    after = GRADIENT * (1 - 2 * moves) + CROWDED
    found = []
    for _ in range(20):
        native, reversed_ = pictures(GRADIENT + CROWDED, rng), pictures(after, rng)
        found.append(reading.position_share(halves(), native, reversed_, 1)[0])
    assert np.mean(found) == pytest.approx(expected, abs=0.05)


def test_intervals_hold_the_truth_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "RESAMPLES", 200)
    monkeypatch.setattr(reading, "SHUFFLES", 20)
    rng = np.random.default_rng(6)
    held, trials = {"share": 0, "mean": 0}, 60
    mean = float(np.mean([pictures(GRADIENT, rng, 4000).mean() for _ in range(10)]))
    for _ in range(trials):
        maps = {"native": pictures(GRADIENT, rng), reading.REVERSED[0]: pictures(-0.5 * GRADIENT, rng)}
        found = reading.figures(maps)
        share, its = found["position share"][reading.REVERSED[0]], found["rules"]["native"]["mean"]
        held["share"] += share["low"] <= 0.75 <= share["high"]
        held["mean"] += its["low"] <= mean <= its["high"]
    least = stats.binom.ppf(0.005, trials, 0.95)
    assert min(held.values()) >= least, held


def test_the_turning_part_leaves_the_middle_out() -> None:
    rng = np.random.default_rng(7)
    both = GRADIENT + 2 * CROWDED
    centred = both - both.mean()
    expected = (GRADIENT**2).sum() / (centred**2).sum()
    found = [reading.turning_part(halves(), pictures(both, rng)) for _ in range(20)]
    assert np.mean(found) == pytest.approx(expected, abs=0.06)
    assert reading.p_turning(pictures(2 * CROWDED, rng)) > 0.01
    assert reading.p_turning(pictures(GRADIENT, rng)) < 0.01


def test_a_share_counts_the_absent_names_below() -> None:
    logs = np.array([[3.0, 1.0, 2.0, 0.0], [0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 0.0]])
    found = ask.shares(logs, np.array([[0], [3], [1]]))
    # means over the pictures that lack a name: 0, 1, 2, 0; so the scores of the first picture are 3, 0, 0, 0
    assert found[:2, 0].tolist() == [1.0, 1.0]
    assert found[2, 0] == 0.5  # ties with all


def test_cells_lie_row_by_row() -> None:
    cells = ask.cell_of_token(9).view(9, 9)
    assert torch.equal(cells[::3, ::3], torch.arange(9).view(3, 3))
    assert cells.unique(return_counts=True)[1].tolist() == [9] * 9


def test_tables_say_every_rule_and_wording() -> None:
    rng = np.random.default_rng(8)
    frames = []
    for rule in ask.RULES[:5]:
        for wording in range(len(ask.WORDINGS)):
            level = -GRADIENT if "reverse" in rule else GRADIENT
            picture, cell = np.indices((40, 9)).reshape(2, -1)
            columns = {"wording": wording, "picture": picture, "cell": cell}
            columns["share"] = pictures(level, rng, 40).ravel()
            frames.append(pd.DataFrame({"side": 9, "scheme": rule, **columns}))
    found = page.blocks(reading.record(pd.concat(frames)))["docs/studies/words.md"]
    assert all(f"`{rule}`" in found["rules"] for rule in ask.RULES[:5])
    assert all(question in found["positions"] for question, _ in ask.WORDINGS)
    assert len(found["wordings"].splitlines()) == 2 + 5


def test_rules_asked_anew_replace_theirs_and_leave_the_others() -> None:
    def answers(side: int, scheme: str, share: float) -> pd.DataFrame:
        return pd.DataFrame({"side": [side], "scheme": [scheme], "share": [share]})

    kept = pd.concat([answers(9, "native", 0.1), answers(24, "native", 0.2), answers(9, "bapa", 0.3)])
    found = merged(kept, answers(9, "native", 0.9), ["side", "scheme"])
    assert sorted(map(tuple, found.values.tolist())) == [(9, "bapa", 0.3), (9, "native", 0.9), (24, "native", 0.2)]


def test_the_record_is_that_of_the_answers() -> None:
    found = page.STUDY.record()["24"]["all wordings"]
    answers = pd.read_parquet(run.ANSWERS)
    assert reading.figures(reading.read(answers[answers["side"] == 24])["all wordings"]) == found


def test_what_is_kept_of_neighbours_is_what_was_planted() -> None:
    rng = np.random.default_rng(10)
    frames = []
    for rule, level in (("native", 0.9), ("bapa", 0.6)):
        for relation in neighbours.RELATIONS:
            auc = level + 0.1 * rng.standard_normal(400)
            columns = {"form": 0, "picture": np.arange(400), "relation": relation, "auc": auc}
            frames.append(pd.DataFrame({"scheme": rule, **columns}))
    found = knowing.figures(pd.concat(frames))[neighbours.FORMS[0][1]]
    assert "kept" not in found["native"]["right"]
    for its in found["bapa"].values():
        assert its["auc"]["value"] == pytest.approx(0.6, abs=0.02)
        assert its["kept"]["low"] < 0.25 < its["kept"]["high"]
    rows = pd.concat(frames).assign(auc=0.5 + 0.1 * rng.standard_normal(len(frames) * 400))
    nothing = knowing.figures(rows)[neighbours.FORMS[0][1]]["bapa"].values()
    assert sum("kept" in its for its in nothing) <= 1  # natively at chance: there is nothing to keep
    texts = page.blocks({"neighbours": {"9": knowing.figures(pd.concat(frames))}})["docs/studies/words.md"]
    assert texts["neighbours, list"].count("`bapa`") == 1
    assert texts["neighbours, row by row"] == texts["neighbours, 576 tokens"] == ""


@pytest.mark.parametrize("dark", [False, True])
def test_the_picture_shows_every_rule_that_was_asked_about_neighbours(dark: bool) -> None:
    record = page.STUDY.record()
    for ax, side in zip(picture.frontier(record, dark=dark).axes, picture.PANELS, strict=True):
        (known,) = list(record["neighbours"][side].values())[:1]
        assert {text.get_text() for text in ax.texts} == {picture.LABELS[rule][0] for rule in known}
        even = {round(100 * record[side]["all wordings"]["rules"][rule]["range"]["value"], 6) for rule in known}
        assert even == {round(float(dots.lines[0].get_xdata()[0]), 6) for dots in ax.containers}


def test_intervals_of_ranges_and_worst_cells_hold_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of the pictures that were asked, whose own maps are then the truth."""
    monkeypatch.setattr(reading, "RESAMPLES", 200)
    monkeypatch.setattr(reading, "SHUFFLES", 5)
    answers = pd.read_parquet(run.ANSWERS)
    whole = reading.read(answers[answers["side"] == 9])["all wordings"]
    native, shared = (whole[rule].mean(0) for rule in ("native", "bapa"))
    truth = [np.ptp(native), native.min(), np.ptp(shared) - np.ptp(native), shared.min() - native.min()]
    rng, trials, held = np.random.default_rng(9), 40, np.zeros(4)
    for _ in range(trials):
        some = rng.integers(0, len(whole["native"]), len(whole["native"]))
        rules = reading.figures({rule: whole[rule][some] for rule in ("native", "bapa")})["rules"]
        found = [of[name] for of in (rules["native"], rules["bapa"]["change"]) for name in ("range", "worst")]
        held += [one["low"] <= true <= one["high"] for one, true in zip(found, truth, strict=True)]
    assert held.min() >= stats.binom.ppf(0.005, trials, 0.95), held
