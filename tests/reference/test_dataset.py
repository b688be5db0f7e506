"""The data of the visual stage as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bapa.errors import RunError
from bapa.probe.digits import COLOURS, GROUND
from bapa.tune import read
from studies.reference import dataset


def test_questions_are_about_the_cells_of_the_skew(tmp_path: Path) -> None:
    file = dataset.write(tmp_path / "one", skew="center", rows=60, seed=3)
    assert file.read_bytes() == dataset.write(tmp_path / "two", skew="center", rows=60, seed=3).read_bytes()
    assert (tmp_path / "one" / "000041.png").read_bytes() == (tmp_path / "two" / "000041.png").read_bytes()
    data = read(tmp_path / "one")
    assert len(data.rows) == 60
    asked = 0
    for row in data.rows:
        question, answer = (message["content"][-1]["text"] for message in row["messages"])
        colour = answer if answer in COLOURS else next(name for name in COLOURS if f" {name} " in f"{question} ")
        if answer in COLOURS or answer == "yes":  # about what stands in the middle: its ink has that colour
            middle = np.asarray(data.open(row["images"][0]))[24:48, 24:48].reshape(-1, 3).astype(float)
            ink = middle[np.abs(middle - GROUND).sum(1).argsort()[-40:]].mean(0)
            nearest = min(COLOURS, key=lambda name: float(np.abs(ink - COLOURS[name]).sum()))
            asked += nearest == colour
        else:
            assert answer == "no"
            asked += 1
    assert asked >= 57, "a thin stroke may be misread, hardly three"
    with pytest.raises(RunError, match="is not empty"):
        dataset.write(tmp_path / "one", skew="center", rows=60, seed=3)


def test_places_are_asked_about_too(tmp_path: Path) -> None:
    data = read(dataset.write(tmp_path / "places", skew="uniform", rows=60, seed=3, tasks="places").parent)
    texts = [str(row["messages"]) for row in data.rows]
    assert sum("which row" in text for text in texts) > 8
    assert sum(" before " in text for text in texts) > 4
    assert sum("Is there a" in text for text in texts) > 4
