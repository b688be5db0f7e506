"""The frontier of fresh items as pictures for docs/studies/where.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bapa.report.figures import save
from bapa.report.frontier import draw as frontier
from studies.study import ROOT

MODEL = "places-top-3"  # the most uneven of those that were searched


def draw(found: Mapping[str, Any]) -> None:
    """Draw the frontier of :data:`MODEL` into docs/assets, on light and on dark."""
    if MODEL not in found:
        return
    for theme in ("light", "dark"):
        figure = frontier(found[MODEL]["fresh"], found[MODEL]["chosen"], dark=theme == "dark")
        with (ROOT / "docs" / "assets" / f"where-{theme}.svg").open("wb") as file:
            save(figure, file, "svg")
