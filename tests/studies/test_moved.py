"""Codes, positions and order are moved one at a time, and what each carries is told as it was planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from bapa.layout import Image
from studies.aligned.reading import together
from studies.coded.ask import CODED
from studies.mixed import carried, page
from studies.mixed.ask import NATIVELY_CENTRAL, SWITCHED_CENTRAL, UNDER_CENTRAL
from studies.mixed.moved import MOVES, OneCellOn

PICTURES = 40
TOKENS = torch.arange(81).view(9, 9)
MIDDLE, LAST = TOKENS[3:6, 3:6].flatten(), TOKENS[6:, 6:].flatten()
PLANTED = {  # by arm: what each attribute gives every cell
    NATIVELY_CENTRAL: {"positions": 0.20, "codes": 0.03, "order": -0.02, "encoder": 0.05},
    UNDER_CENTRAL: {"codes": 0.04, "order": 0.18, "encoder": 0.02},
    SWITCHED_CENTRAL: {"codes": 0.01, "order": 0.02, "encoder": 0.03},
}


def test_the_thing_of_the_last_cell_gets_what_the_middle_had() -> None:
    codes, contents = TOKENS.flatten()[:, None].float(), 1000.0 * TOKENS.flatten()[None, :, None]
    moved = MOVES[f"{UNDER_CENTRAL}: codes"].image(contents, codes)[0, :, 0]
    assert (moved[LAST] == 1000 * LAST + MIDDLE).all()
    moved = MOVES[f"{UNDER_CENTRAL}: order"].image(contents, codes)[0, :, 0]
    assert (moved[MIDDLE] == 1000 * LAST + LAST).all()  # codes go with their tokens
    image = Image(torch.arange(81))
    placed = OneCellOn().place(image)
    assert placed.offsets.sort().values.tolist() == [list(range(81))]
    assert (placed.offsets[0, LAST] == MIDDLE).all()
    assert placed.resume[-1] == 81  # the text goes on where it did


def test_the_cells_of_the_figures_are_those_that_are_moved() -> None:
    assert CODED[carried.GAINS] == carried.MIDDLE
    assert CODED[carried.MIDDLE] in carried.CORNERS
    assert {int(CODED[cell]) for cell in carried.CORNERS} <= {carried.MIDDLE, *carried.CORNERS}


@pytest.fixture(scope="module")
def maps() -> carried.Maps:
    rng = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}

    def seen(*effects: np.ndarray) -> np.ndarray:
        return 0.5 + sum(effects) + rng.normal(0, 0.01, (PICTURES, 9))

    for arm, parts in PLANTED.items():
        effects = {name: _bump(size) + rng.normal(0, 0.1) for name, size in parts.items()}
        found[carried.UNMOVED[arm]] = seen(*effects.values())
        for what in (name.partition(": ")[2] for name in MOVES if name.startswith(f"{arm}: ")):
            turned = {name: its[CODED] if name in what else its for name, its in effects.items()}
            found[f"{arm}: {what}"] = seen(*turned.values())
    return found


def _bump(size: float) -> np.ndarray:
    """An advantage of the middle of this size over the two corners of its round; other cells differ at random."""
    effect = np.random.default_rng(int(1000 * abs(size))).normal(0, 0.05, 9)
    effect[carried.MIDDLE] = effect[list(carried.CORNERS)].mean() + size
    return effect


def test_what_each_carries_is_what_was_planted(maps: carried.Maps) -> None:
    found = carried.figures(maps)
    for arm, parts in PLANTED.items():
        told = found["carried"][arm]
        assert told["advantage"]["value"] == pytest.approx(sum(parts.values()), abs=0.01)
        for name, size in parts.items():
            assert told["left" if name == "encoder" else name]["value"] == pytest.approx(size, abs=0.01)
    assert found["more than half"][NATIVELY_CENTRAL]["positions"]["low"] > 0
    assert found["more than half"][NATIVELY_CENTRAL]["codes"]["high"] < 0
    assert found["more than half"][UNDER_CENTRAL]["order"]["low"] > 0
    assert found["control"]["bapa less positions moved"]["range"]["high"] < 0


def test_the_page_has_a_row_for_everything_that_was_moved(maps: carried.Maps) -> None:
    one = carried.figures(maps)
    models = {"1": one, "2": one}
    told: Any = page.blocks({"moved": {"models": models, "together": together(models)}})["docs/studies/mixed.md"]
    assert "| natively, central | positions | 20." in told["carried"]
    assert all(f"| {name} moved, less not |" in told["moved"] for name in MOVES)
    assert "| natively, central, bapa less positions moved |" in told["moved"]


def test_the_record_is_made_of_answers(maps: carried.Maps) -> None:
    def rows(name: str) -> pd.DataFrame:
        its = (
            pd.DataFrame(maps[name])
            .rename_axis("picture")
            .melt(ignore_index=False, var_name="cell", value_name="share")
        )
        return its.reset_index().assign(seed=1, wording=0)

    plain = []
    for name in carried.UNMOVED.values():
        arm, _, rule = name.rpartition(", ")
        plain.append(rows(name).assign(arm=arm, rule=rule))
    found = carried.record(pd.concat(plain), pd.concat([rows(name).assign(moved=name) for name in MOVES]))
    assert found["models"]["1"] == carried.figures(maps)
