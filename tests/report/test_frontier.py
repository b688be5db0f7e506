"""The picture of a frontier: its line joins the dots that no other surpasses on the axes it is drawn on."""

from __future__ import annotations

from dataclasses import replace

from bapa.calibrate.frontier import Frontier, Point
from bapa.report.frontier import draw, sentences


def at(name: str, span: float, kept: float, even: float, items: int = 40) -> Point:
    def estimate(value: float) -> dict[str, float | None]:
        return {"value": value, "low": value, "high": value}

    return Point(name, items, estimate(span), estimate(0.9), estimate(0.95), even, {"where": estimate(kept)})


def test_no_dot_lies_above_and_to_the_left_of_the_line() -> None:
    points = (
        at("native", 0.010, 1.00, 0.5),
        at("bapa", 0.0002, 0.36, 0.9),  # the evenest by its margins, and surpassed by the next on what is drawn
        at("imccd", 0.0, 0.96, 0.6),
        at("cmpc", 0.006, 0.90, 0.8),
        at("calibrated:distance=1x", 0.0, 0.99, 0.9, items=2),  # asked about too little to count
    )
    for dark in (False, True):
        figure = draw({**Frontier(0.9, points).record(), "tasks": ["where"]}, "imccd", dark=dark)
        line = figure.axes[0].lines[0]
        assert line.get_label() == "none is better in both"
        assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == [(0.0, 96.0), (1.0, 100.0)]


def test_where_the_model_knows_no_places_nothing_is_said_to_be_kept() -> None:
    points = (replace(at("native", 0.0, 1, 0.9), kept={}), replace(at("bapa", 0.0, 1, 0.95), kept={}))
    worse = replace(points[1], worst={"value": 0.5, "low": 0.4, "high": 0.6})
    promise = {**Frontier(0.9, (points[0], worse)).record(), "tasks": [], "silent": ["where", "order"], "refused": {}}
    assert promise["chosen"] is None
    assert list(sentences({"promise": promise, "chosen": "native", "guards": []})) == [
        "The model can do none of the side-effect probes natively, so nothing had to be kept.",
        "Native positions stay: none of 1 rules is evener.",
        "On the frontier: bapa, range 0.0 [0.0, 0.0].",
    ]
