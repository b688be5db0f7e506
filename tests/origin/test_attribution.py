"""Answers with planted causes: the shares must find them, and nothing where there is nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bapa.origin import attribution, runner, verdict
from bapa.origin.attribution import Answers
from bapa.origin.moves import Condition, conditions, torn
from bapa.probe.slots import Slots
from bapa.stats.bias import Settings
from studies.coverage.causes import CAUSES, CELLS, DRAWS, QUICK, RULES, SKEW, decided, planted


@pytest.mark.parametrize("moved", ["features", "patch"])
@pytest.mark.parametrize(
    ("factor", "cause", "detail"),
    [("encoder", "encoder", None), ("position", "language model", "position"), ("order", "language model", "order")],
)
def test_a_single_cause_is_found(factor: str, cause: str, detail: str | None, moved: str) -> None:
    answers = planted({factor: SKEW})
    for quantity in ("hit", "margin"):
        shares = attribution.shares(answers, quantity, moved, QUICK)
        assert shares[factor]["value"] == pytest.approx(1, abs=0.15)
        for other in set(attribution.FACTORS) - {factor}:
            assert shares[other]["value"] == pytest.approx(0, abs=0.1)
            assert shares[other]["low"] <= 0 <= shares[other]["high"]
    found = decided(answers, moved)
    assert (found["cause"], found["detail"]) == (cause, detail)
    assert "%" in str(found["sentence"])
    assert "Assumed: the effects of encoder, order and position add up" in str(found["sentence"])


def test_two_causes_share_the_spread() -> None:
    answers = planted({"encoder": SKEW, "position": SKEW}, noise=2.0)
    shares = attribution.shares(answers, "margin", "features", QUICK)
    assert shares["encoder"]["value"] == pytest.approx(0.5, abs=0.1)
    assert shares["position"]["value"] == pytest.approx(0.5, abs=0.1)
    assert decided(answers)["cause"] == "both"


def test_variance_is_free_of_sampling_noise() -> None:
    settings = Settings(resamples=10)
    found = [
        attribution.shares(planted({}, items=20, seed=seed), "margin", "features", settings)["variance"]["value"]
        for seed in range(20)
    ]
    plain = np.mean([planted({}, items=20, seed=s).response("margin", "native").mean(0).var() for s in range(20)])
    assert abs(np.mean(found)) < 0.25 * plain
    skewed = attribution.shares(planted({"order": SKEW}), "margin", "features", settings)["variance"]["value"]
    assert skewed == pytest.approx(SKEW.var(ddof=1), rel=0.15)


def test_no_spread_and_shuffled_cells_attribute_nothing() -> None:
    assert decided(planted({}))["cause"] == "none"
    biased = planted({"position": SKEW})
    rng = np.random.default_rng(0)
    causes = [decided(biased.shuffled(rng))["cause"] for _ in range(10)]
    assert set(causes) <= {"none", "unknown"}
    assert causes.count("none") >= 7
    for label in biased.trials:  # the same answers, in other cells
        mixed = biased.shuffled(rng).trials[label].signal
        assert np.array_equal(np.sort(mixed, 1), np.sort(biased.trials[label].signal, 1))


def test_a_wrong_design_does_not_find_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutation: were moves not told apart, the position's effect would be shared out."""
    answers = planted({"position": SKEW})

    def blurred(move, items, draw, draws, cells):  # type: ignore[no-untyped-def]
        place = torn(move, items, draw, draws, cells)
        return {**place, "position": place["encoder"], "encoder": place["position"]}

    monkeypatch.setattr(attribution, "torn", blurred)
    assert decided(answers)["cause"] != "language model"


def test_few_items_cannot_tell() -> None:
    answers = planted({"encoder": SKEW / 3, "position": SKEW / 3}, items=16, noise=3.0)
    spread = {"p": 0.001}
    found = verdict.decide(attribution.shares(answers, "hit", "features", QUICK), spread, 0.95)
    assert found["cause"] == "unknown"
    assert "cannot be told" in found["sentence"]


def test_without_moves_it_cannot_be_told() -> None:
    answers = planted({"position": SKEW})
    rules = replace(answers, conditions=[Condition(rule) for rule in RULES])
    assert attribution.shares(rules, "hit", "features", QUICK) == {}
    assert decided(rules)["cause"] == "unknown"


def test_a_model_that_answers_something_else_gets_no_verdict() -> None:
    honest = decided(planted({"position": SKEW}))
    for mass in (None, 0.5, 1.0):
        assert verdict.answered(honest, mass) == honest
    found = verdict.answered(honest, 0.04)
    assert found["cause"] == "unknown"
    assert "only 4.0 % of the model's probability falls on the answers" in found["sentence"]


@pytest.mark.parametrize(("mass", "cause"), [(0.9, "language model"), (0.1, "unknown"), (np.nan, "language model")])
def test_how_much_falls_on_the_answers_is_that_of_the_native_ones(mass: float, cause: str) -> None:
    answers = planted({"position": SKEW})
    told = {name: replace(one, mass=np.full_like(one.hits, 0.0)) for name, one in answers.trials.items()}
    told["native"] = replace(told["native"], mass=np.full_like(told["native"].hits, mass))
    found = runner._causes(replace(answers, trials=told), QUICK, Slots("grid", 3, 3))
    assert found["verdict"]["cause"] == cause


def test_rules_flatten_or_turn_the_map_of_a_position_bias() -> None:
    found = attribution.left_by_rules(planted({"position": SKEW}), "hit", QUICK)
    assert found["native"]["left"]["value"] == pytest.approx(1)
    assert found["bapa:distance=native"]["left"]["high"] < 0.2
    assert found["reverse"]["same"]["high"] < 0 < found["reverse"]["mirrored"]["low"]
    encoder = attribution.left_by_rules(planted({"encoder": SKEW}), "hit", QUICK)
    assert encoder["bapa:distance=native"]["left"]["low"] > 0.7
    assert encoder["reverse"]["same"]["low"] > 0.7


@pytest.mark.parametrize("move", ["none", "features", "positions", "order", "patch"])
def test_moves_tear_apart_what_they_say(move: str) -> None:
    place = torn(move, np.arange(6), 1, DRAWS, CELLS)
    own = np.arange(CELLS)
    moved = {factor for factor in attribution.FACTORS if (place[factor] != own).any()}
    assert (
        moved
        == {
            "none": set(),
            "features": {"order", "position"},
            "positions": {"position"},
            "order": {"order"},
            "patch": {"encoder"},
        }[move]
    )
    for cells in place.values():  # each item meets every cell once on every factor
        assert (np.sort(cells, 1) == own).all()


def test_verdicts_that_contradict_each_other_cannot_be_told() -> None:
    one, two = ({"cause": cause, "detail": None, "sentence": cause} for cause in ("encoder", "language model"))
    assert verdict.agree(one, two)["cause"] == "unknown"
    assert verdict.agree(one, one) == {**one, "quantity": "hit"}


def test_margins_decide_only_where_hits_do_not_and_they_matter() -> None:
    sure, unsure = {"p": 0.001}, {"p": 0.4}
    decided, undecided, even = ({"cause": cause} for cause in ("encoder", "unknown", "none"))
    assert verdict.quantity(decided, sure, 1.0, 0.95) == "hit"
    assert verdict.quantity(undecided, sure, 1.0, 0.95) == "margin"
    assert verdict.quantity(even, sure, 1.0, 0.95) == "margin"
    assert verdict.quantity(even, sure, 0.05, 0.95) == "hit"
    assert verdict.quantity(even, unsure, 1.0, 0.95) == "hit"
    level = {"encoder": SKEW / 3 + 8}  # far above the threshold everywhere: hits are even
    answers = planted(level)
    assert attribution.materiality(answers) == pytest.approx((SKEW / 3).std(ddof=1) / 13, rel=0.3)


@pytest.mark.parametrize("seed", range(8))
def test_half_and_half_is_never_one_cause(seed: int) -> None:
    """The first factor above one half used to be named, where two were."""
    sides = decided(planted(CAUSES["half encoder, half position"], seed=seed))
    assert sides["cause"] in ("both", "unknown")
    within = decided(planted(CAUSES["half position, half order"], seed=seed))
    assert within["cause"] in ("language model", "unknown")
    assert within["detail"] is None


def test_a_cause_that_works_against_the_map_is_named() -> None:
    for seed in range(4):
        found = decided(planted(CAUSES["position, the encoder against it"], seed=seed))
        assert found["opposing"] == ["encoder"]
        assert not found["alone"]
        assert "Against it works where the encoder saw it, with −" in str(found["sentence"])


def shares(**low_high: tuple[float, float]) -> dict[str, dict[str, float | None]]:
    found = {name: {"value": sum(bounds) / 2, "low": bounds[0], "high": bounds[1]} for name, bounds in low_high.items()}
    return {"variance": {"value": 1.0, "low": 0.5, "high": 2.0}, **found}  # type: ignore[dict-item]


def test_alone_is_said_only_where_nothing_else_carries_a_part() -> None:
    sure = {"p": 0.001}
    alone = shares(encoder=(-0.02, 0.03), order=(-0.05, 0.04), position=(0.9, 1.05), language_model=(0.9, 1.05))
    found = verdict.decide(alone, sure, 0.95)
    assert found["alone"]
    assert "model gives the image tokens alone:" in found["sentence"]
    part = shares(encoder=(0.11, 0.17), order=(-0.05, 0.04), position=(0.8, 0.9), language_model=(0.8, 0.9))
    found = verdict.decide(part, sure, 0.95)
    assert not found["alone"]
    assert found["sentence"].startswith("The bias comes mostly from the positions")
    assert "where the encoder saw it carries 14 % [11, 17]" in found["sentence"]
    wide = shares(encoder=(0.55, 1.05), order=(-0.05, 0.04), position=(-0.02, 0.45), language_model=(-0.02, 0.45))
    found = verdict.decide(wide, sure, 0.95)
    assert not found["alone"], "an interval up to 45 % holds a part that counts"
    assert found["sentence"].startswith("The bias comes mostly from the vision encoder")


@pytest.mark.parametrize("seed", range(6))
def test_features_that_do_not_bear_being_moved_are_told(seed: int) -> None:
    """A loss of six logits wherever features and positions disagree made a pure position cause look like both."""
    answers = planted({"position": SKEW}, seed=seed, penalty=6.0)
    found = decided(answers)
    assert found["cause"] == "unknown"
    assert "between cells that answer alike, which should change nothing" in str(found["sentence"])
    for told in attribution.penalties(planted({"position": SKEW}, seed=seed), QUICK).values():
        assert abs(told["share"]["value"] or 0) < verdict.PENALTY


def test_shares_follow_the_names_and_a_rigged_attribution_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = planted({"position": SKEW})
    monkeypatch.setattr(runner, "CONTROLS", 1)
    control = runner._control(answers, QUICK, "hit")
    assert (control["relabelled"], control["followed"]) == (2, 2)
    honest = {"cause": "encoder", "sentence": "s"}
    assert verdict.followed(honest, control) == honest

    def rigged(*args: object) -> dict[str, dict[str, float | None]]:
        return shares(
            encoder=(0.97, 1.03), order=(-0.01, 0.01), position=(-0.01, 0.01),
            language_model=(-0.01, 0.01), remainder=(-0.01, 0.01),
        )  # fmt: skip

    monkeypatch.setattr(attribution, "shares", rigged)
    control = runner._control(answers, QUICK, "hit")
    assert control["followed"] == 0
    assert verdict.followed(honest, control)["cause"] == "unknown"


@pytest.mark.parametrize(("items", "cause"), [(3, "unknown"), (20, "none"), (None, "none")])
def test_too_few_items_are_not_an_even_map(items: int | None, cause: str) -> None:
    found = verdict.decide({}, {"p": 1.0}, 0.95, items)
    assert found["cause"] == cause
    assert ("3 items answered in every cell, 10 are needed" in found["sentence"]) == (items == 3)


CLASSES = 10


def liked(seed: int, effect: float = 0.0, items: int = 200) -> Answers:
    """Answers about items of ten classes, each of which likes cells of its own, by their position, beside ``effect`` of
    :data:`SKEW` on all: without it no cell is worse over classes.
    """
    rng = np.random.default_rng(seed)
    ease, wanted = rng.normal(0, 1, items), conditions(("native",), DRAWS)
    classes, likes = rng.permutation(np.arange(items) % CLASSES), rng.normal(0, 1.2, (CLASSES, CELLS))
    frames = []
    for condition in wanted:
        place = torn(condition.move, np.arange(items), condition.draw, DRAWS, CELLS)["position"]
        margin = 1 + ease[:, None] + rng.logistic(size=(items, CELLS)) + effect * SKEW[place]
        margin = margin + likes[classes[:, None], place]
        item, cell = (axis.ravel() for axis in np.mgrid[:items, :CELLS])
        columns = {"item": item, "cell": cell, "question": "q", "kind": "present", "scheme": condition.label}
        told = {"group": [f"class {classes[one]}" for one in item], "correct": margin.ravel() > 0}
        frames.append(pd.DataFrame({**columns, **told, "margin": margin.ravel()}))
    return Answers.read(pd.concat(frames, ignore_index=True), CELLS, wanted, DRAWS)


def test_what_single_classes_like_is_no_bias_with_a_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """By items alone the verdict was *position* in most of these worlds, in which classes differ and no cell does."""
    monkeypatch.setattr(runner, "CONTROLS", 1)
    found = [runner._causes(liked(seed), Settings(20), Slots("grid", 3, 3))["verdict"]["cause"] for seed in range(6)]
    assert sum(cause not in ("none", "unknown") for cause in found) <= 1, found
    biased = runner._causes(liked(0, effect=1.0), Settings(20), Slots("grid", 3, 3))["verdict"]
    assert (biased["cause"], biased["detail"]) == ("language model", "position")


def test_classes_are_drawn_shuffled_and_halved_as_one() -> None:
    answers = liked(0, effect=0.5)
    assert (answers.over.by, answers.over.count) == ("group", CLASSES)
    alone = replace(answers, over=replace(answers.over, by="item", of=np.arange(200)))
    wide, narrow = (attribution.shares(one, "margin", "features", Settings(40))["variance"] for one in (answers, alone))
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])
    one, two = np.flatnonzero(answers.over.of == 0)[:2]
    mixed = answers.shuffled(np.random.default_rng(0)).trials["native"].signal[..., 0]
    before = answers.trials["native"].signal[..., 0]
    orders = [[before[item].tolist().index(value) for value in mixed[item]] for item in (one, two)]
    assert orders[0] == orders[1] != list(range(CELLS))


def test_too_few_classes_are_no_even_map() -> None:
    found = verdict.decide({}, {"p": 1.0}, 0.95, 3, "group")
    assert (found["cause"], "3 classes answered in every cell" in found["sentence"]) == ("unknown", True)
