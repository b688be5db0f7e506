"""Planted evidence, and the decision it must lead to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bapa.check.decide import ORDERLESS, decide, settled
from bapa.check.evidence import Arm, Evidence, Figure, Guard, Search
from bapa.report.decision import Told
from bapa.report.decision import told as say

NATIVE = Arm("native", Figure(0.9, 0.88, 0.92), Figure(0.8, 0.76, 0.84), Figure(0.19, 0.16, 0.22))


def arm(label: str, worst: float = 0.15, mean: float = 0.05, wide: float = 0.03) -> Arm:
    def change(value: float) -> Figure:
        return Figure(value, value - wide, value + wide)

    return Arm(
        label,
        Figure(0.9 + mean),
        Figure(0.8 + worst),
        Figure(0.01),
        {"worst": change(worst), "mean": change(mean), "range": change(-0.18)},
    )


def told(evidence: Evidence) -> Told:
    return say(evidence, decide(evidence))


BIASED = Evidence("model", mass=0.98, p=0.0005, arms=(NATIVE, arm("bapa")), cause="position", items=120)


def guard(rate: float, native: float = 0.97, chance: float = 1 / 3) -> Guard:
    return Guard("rows", chance, Figure(native, native - 0.03, native + 0.02), {"bapa": Figure(rate)})


def test_a_biased_model_that_a_rule_mends_is_balanced():
    found = decide(BIASED)
    assert (found.kind, found.rule) == ("balance", "bapa")
    words = told(BIASED)
    assert "bapa" in words.headline
    assert any("80.0 [76.0, 84.0]" in sentence for sentence in words.because)
    assert "not measured" in words.costs[0]


def test_of_two_rules_the_one_with_the_better_worst_cell():
    found = decide(replace(BIASED, arms=(NATIVE, arm("bapa", worst=0.1), arm("calibrated", worst=0.17))))
    assert found.rule == "calibrated"


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"refusal": "it takes no pictures"}, "untold"),
        ({"mass": 0.2, "wanted": "<think>"}, "untold"),
        ({"arms": (replace(NATIVE, mean=Figure(0.58, 0.55, 0.61)),)}, "untold"),
        ({"p": 0.3, "arms": (replace(NATIVE, range=Figure(0.01, 0.0, 0.04)),)}, "leave"),
        ({"p": 0.01, "arms": (replace(NATIVE, range=Figure(0.01, 0.002, 0.04)),)}, "leave"),
        ({"p": 0.3, "arms": (replace(NATIVE, range=Figure(0.05, 0.0, 0.2)),)}, "untold"),
        ({"cause": "encoder"}, "tune"),
        ({"arms": (NATIVE, arm("bapa", worst=0.02))}, "tune"),
        ({"arms": (NATIVE, arm("bapa", mean=-0.1))}, "tune"),
    ],
)
def test_what_keeps_a_rule_back(changed, kind):
    found = decide(replace(BIASED, **changed))
    assert found.kind == kind
    assert found.rule is None
    assert told(replace(BIASED, **changed)).headline


@pytest.mark.parametrize(
    ("p", "wide", "found", "headline"),
    [
        (0.3, Figure(0.01, 0.0, 0.04), ("leave", "even"), "no dependence on where the content stands was found"),
        (0.0005, Figure(0.018, 0.006, 0.03), ("leave", "small"), "was found, too small to matter"),
        (0.0005, Figure(0.019, 0.004, 0.12), ("untold", "too-few-items"), "too few to say"),
        (0.01, Figure(0.05, 0.0, 0.09), ("untold", "too-few-items"), "too few to say"),
    ],
)
def test_a_range_that_does_not_count_is_told_as_what_the_test_found(p, wide, found, headline):
    evidence = replace(BIASED, p=p, arms=(replace(NATIVE, range=wide),))
    decision = decide(evidence)
    assert (decision.kind, decision.reason) == found
    assert headline in told(evidence).headline


def test_the_wanted_token_is_named():
    assert "'<think>'" in told(replace(BIASED, mass=0.2, wanted="<think>")).because[0]


def test_a_rule_that_loses_places_is_not_recommended():
    evidence = replace(BIASED, guards=(guard(0.33),))
    assert (decide(evidence).kind, decide(evidence).lost) == ("leave", ("rows",))
    assert told(evidence).headline.startswith("Do not balance it")
    assert "33.0 % under bapa" in told(evidence).costs[0]
    assert "bapa tune MODEL --scheme native" in told(evidence).change[-1]


def test_a_rule_that_keeps_places_goes_before_a_more_even_one_that_does_not():
    kept = Guard("rows", 1 / 3, Figure(0.97, 0.94, 0.99), {"bapa": Figure(0.33), "kept": Figure(0.95)})
    found = decide(replace(BIASED, arms=(NATIVE, arm("bapa", 0.17), arm("kept", 0.12)), guards=(kept,)))
    assert found.rule == "kept"


KEPT = replace(
    BIASED,
    arms=(NATIVE, arm("bapa", 0.17), arm("kept", 0.12)),
    guards=(guard(0.33), Guard("rows", 1 / 3, Figure(0.97, 0.94, 0.99), {"kept": Figure(0.96)})),
    search=Search(76, "kept"),
)


def test_a_rule_that_was_searched_for_is_judged_on_its_own_items_and_says_what_others_lose():
    assert decide(KEPT).rule == "kept"
    assert "Of 76 rules tried for it, kept is the evenest that keeps it; bapa loses it." in told(KEPT).because
    assert [cost for cost in told(KEPT).costs if "under bapa" in cost] == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"search": Search(76), "arms": KEPT.arms[:2], "guards": KEPT.guards[:1]}, "none is evener than native"),
        ({"search": Search(left_out="it did not fit"), "arms": KEPT.arms[:2]}, "it did not fit"),
        (
            {"guards": (guard(0.33), replace(KEPT.guards[1], rules={"kept": Figure(0.5)}))},
            "of the skill above chance on others",
        ),
        ({"arms": (*KEPT.arms[:2], arm("kept", 0.01))}, "does not surely help"),
    ],
)
def test_why_a_search_changed_nothing_is_said(changed, said):
    evidence = replace(KEPT, **changed)
    assert (decide(evidence).reason, decide(evidence).arm.label) == ("loses", "bapa")
    assert any(said in sentence for sentence in told(evidence).because)


def test_a_rule_that_was_judged_already_is_named_where_the_search_picks_it():
    """It keeps enough of the right answers and too little of the skill above chance; it is not as if none had."""
    near = Guard("order", 1 / 2, Figure(0.878, 0.84, 0.91), {"bapa": Figure(0.83)})
    words = told(replace(BIASED, guards=(near,), search=Search(76, "bapa")))
    assert any("bapa kept 90 % of the right answers on the items that picked it" in line for line in words.because)


def test_a_gain_that_picked_the_rule_among_several_is_told_as_such():
    assert "Judged on 120 items that picked no rule of the search." in told(BIASED).because
    two = replace(BIASED, arms=(NATIVE, arm("bapa", worst=0.1), arm("calibrated", worst=0.17)))
    assert any("best of 2 rules that help on them" in line for line in told(two).because)


def test_only_a_rule_that_loses_something_is_worth_a_search():
    assert settled(BIASED) is False  # the calibration is still to come
    assert settled(replace(BIASED, guards=(guard(0.95),)))
    assert not settled(replace(BIASED, guards=(guard(0.33),)))


def test_a_guard_that_the_model_cannot_do_natively_keeps_nothing_back():
    evidence = replace(BIASED, guards=(guard(0.33, native=0.34),))
    assert decide(evidence).rule == "bapa"
    assert "says nothing about the rule" in told(evidence).costs[0]


def test_a_guard_that_could_not_be_asked_is_named():
    words = told(replace(BIASED, unasked={"order": "too few captions"}))
    assert words.costs == ("Telling what comes first: not asked; too few captions",)


def test_a_rule_without_positions_or_order_says_what_it_takes_away():
    """Its cost holds by construction, so it is said beside what was measured, or was not."""
    found = replace(BIASED, arms=(NATIVE, arm("bapa", worst=0.02), arm(ORDERLESS)), cause="order")
    assert decide(found).rule == ORDERLESS
    assert "neither positions nor an order" in told(found).because[-1]
    assert "not measured" in told(found).costs[0]
    assert not any("neither positions nor an order" in sentence for sentence in told(BIASED).because)
