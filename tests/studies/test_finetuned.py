"""The study of light fine-tuning: what is tuned on, what the endpoints tell by planted truth, and that the record is
that of the answers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from bapa.calibrate.words.reader import OPENINGS
from studies.finetuned import ask, data, page, reading, run
from studies.pretrained.scenes import MIDDLE


@pytest.mark.parametrize("placement", ask.PLACEMENTS)
def test_what_is_named_stands_where_the_data_place_it(placement: data.Placement) -> None:
    cells = data.named(placement, 4000, torch.Generator().manual_seed(1))
    assert all(len(set(row)) == data.NAMED for row in cells.tolist())
    first = torch.bincount(cells[:, 0], minlength=9) / len(cells)
    weight = MIDDLE if placement == "photo" else torch.full((9,), 1 / 9)
    assert (first - weight).abs().max() < 4 * (0.25 / len(cells)) ** 0.5


def test_an_answer_goes_on_as_it_is_asked_later() -> None:
    question, begun = OPENINGS[0]
    asked = data.turn(0, ["a dove", "an owl", "a key"])
    assert asked == [(question, f"{begun} dove, an owl and a key.")]


def planted(slope: float, middle: float, seed: int) -> NDArray[np.float64]:
    """Shares of 243 pictures: a fall over the cells, and the middle cell higher than that."""
    cells = 0.75 - slope * np.linspace(0, 1, 9)
    cells[4] += middle
    found: NDArray[np.float64] = np.clip(cells + np.random.default_rng(seed).normal(0, 0.15, (243, 9)), 0, 1)
    return found


def test_the_endpoints_are_what_was_planted() -> None:
    untuned = {reading.UNTUNED: planted(0.3, 0.0, 1), reading.BEFORE: planted(0.25, 0.0, 2)}
    tuned = {
        ask.NATIVELY: planted(0.2, 0.1, 3),
        ask.SWITCHED: planted(0.05, 0.02, 6),
        ask.BALANCED: planted(0.05, 0.02, 4),
    }
    found = reading.figures(untuned, tuned)
    gained = found["from tuned natively"][ask.BALANCED]["change"]["range"]
    assert gained["low"] < -0.15 < gained["high"] < -0.1
    alone = found["rule alone"][ask.BALANCED]["change"]["range"]
    assert alone["low"] < -0.2 < alone["high"] < -0.15
    alike = found["switched on"][ask.BALANCED]["change"]["range"]
    assert alike["low"] < 0 < alike["high"]
    kept_out = found["middle"][ask.BALANCED]["change"]
    assert kept_out["low"] < 0.08 * -8 / 9 < kept_out["high"] < 0
    straight = found["middle"][reading.UNTUNED]["above"]
    assert straight["low"] < 0 < straight["high"] < 0.05
    assert found["from untuned"][ask.NATIVELY]["change"]["range"]["high"] < 0
    same = reading.figures(untuned, tuned | {ask.BALANCED: planted(0.2, 0.1, 5)})
    for what in ("mean", "worst", "range"):
        its = same["from tuned natively"][ask.BALANCED]["change"][what]
        assert its["low"] < 0 < its["high"], what


def test_the_record_is_that_of_the_answers() -> None:
    record = page.STUDY.record()
    shares, known = map(pd.read_parquet, run.FILES)
    assert {*shares["condition"]} == {*ask.NAMES}
    assert {(placement, seed) for placement in ask.PLACEMENTS for seed in run.SEEDS} == {
        *shares[["data", "seed"]].drop_duplicates().itertuples(index=False, name=None)
    }
    one = run.found((shares[shares["seed"] == 1], known[known["seed"] == 1]))
    for placement in ask.PLACEMENTS:
        assert one[placement]["models"]["1"] == record[placement]["models"]["1"]
        assert [*record[placement]["models"]] == [str(seed) for seed in run.SEEDS]
