"""The study of where evenness and the sense of place sit: what counts as reaching the goal, and what is switched on."""

from __future__ import annotations

from typing import Any

from bapa.calibrate.frontier import Frontier, Point
from bapa.schemes import parse
from studies.where import page
from studies.where.rules import BANDS, BEST, BLEND, EVERY, SHARED, TRIED, one_at_a_time


def estimate(value: float) -> dict[str, float | None]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def at(name: str, span: float, worst: float, rows: float, order: float) -> Point:
    kept = {"where": estimate(rows), "order": estimate(order)}
    return Point(name, 60, estimate(span), estimate(worst), estimate(0.97), 0.8, kept)


def search(*points: Point, chosen: str = "bapa") -> dict[str, Any]:
    rates = {task: {one.candidate: estimate(0.9) for one in points} for task in page.TASKS}
    return {
        "m": {
            "chosen": chosen,
            "fresh": Frontier(0.9, points).record(),
            "rates": rates,
            "hits": rates["where"],
            "changes": {},
            "picked": {"keep": 0.9},
        }
    }


NATIVE = at("native", 0.08, 0.94, 1, 1)


def test_the_goal_needs_evenness_the_worst_cell_and_both_senses() -> None:
    good = at("bapa", 0.02, 0.94, 0.95, 0.96)
    first, second = page.goal(search(NATIVE, good)).splitlines()
    assert "`bapa`" in first
    assert "`bapa`" in second
    for less in (
        at("bapa", 0.021, 0.94, 0.95, 0.96),  # not even enough
        at("bapa", 0.02, 0.93, 0.95, 0.96),  # worse in its worst cell
        at("bapa", 0.02, 0.94, 0.94, 0.96),  # rows lost
        at("bapa", 0.02, 0.94, 0.95, 0.94),  # order lost
    ):
        assert "**no rule**" in page.goal(search(NATIVE, less)).splitlines()[0]


def test_the_headline_holds_native_the_papers_rule_the_choice_and_a_fixed_one() -> None:
    points = (
        NATIVE,
        at("bapa", 0.0, 0.95, 0.34, 0.5),
        at("cmpc", 0.04, 0.95, 0.97, 0.98),
        at(BLEND, 0.05, 0.9, 0.9, 0.9),
    )
    told = page.headline(search(*points, chosen="cmpc"), search(*points, chosen="bapa"))
    assert "8.0" in told
    assert "0.0; kept 34 and 50" in told
    assert "`cmpc` | 4.0; kept 97 and 98" in told
    assert told.endswith("5.0; kept 90 and 90 | 0.0; kept 34 and 50 |")


def test_where_native_stays_the_headline_repeats_nothing() -> None:
    points = (NATIVE, at("bapa", 0.0, 0.95, 0.34, 0.5), at(BLEND, 0.05, 0.9, 0.9, 0.9))
    assert "`native` |  |" in page.headline(search(*points, chosen="native"), {})


def test_a_model_that_is_nearly_even_natively_proves_nothing() -> None:
    told = page.goal(search(at("native", 0.01, 0.99, 1, 1), at("bapa", 0.0, 1.0, 1, 1)))
    assert "`bapa`" not in told
    assert "no rule's gain can be told: m" in told


def test_one_part_is_switched_on_at_a_time() -> None:
    found = one_at_a_time(4, 16, 2)
    assert len(found) == 4 + 4 * 2 + 16 + len(BANDS) + 3
    assert len(set(found.values())) == len(found)
    assert found["layer 2"] == parse(f"{SHARED},layers=2").label
    assert found["layer 3, head 1"] == parse(f"{SHARED},shares=3:0f").label
    assert found["pairs: all"] == SHARED


def test_rules_are_written_as_they_read_back() -> None:
    assert all(parse(rule).label == rule for rule in (*EVERY, *TRIED))
    assert BEST in TRIED
