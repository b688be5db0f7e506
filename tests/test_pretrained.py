"""The page on pretrained parts says what its answers say."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from studies.pretrained import figures, page
from studies.study import filled


def test_tables_are_those_of_the_record() -> None:
    record, training = (json.loads(path.read_text()) for path in (page.RECORD, page.TRAINING))
    written = page.PAGE.read_text("utf-8")
    assert filled(written, page.PAGE.name, page.tables(record, training)) == written


@pytest.mark.parametrize("model", ["A-1", "E-2"])
def test_the_record_is_that_of_the_answers(model: str) -> None:
    answers = pd.read_parquet(page.ANSWERS).astype({"model": str, "kind": str, "scheme": str, "asked": str})
    some = answers[(answers["model"] == model) & (answers["scheme"].isin(["native", "bapa"]))]
    record = json.loads(page.RECORD.read_text())["models"]["planned"]
    for key, found in figures.models(some, known=False).items():
        assert found == record[key]


def test_an_even_model_has_no_range() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"item": item, "cell": cell, "kind": kind, "asked": "a dove", "margin": rng.normal() + (kind == "present")}
        for item in range(120)
        for cell in range(9)
        for kind in ("present", "absent")
    ]
    even = pd.DataFrame(rows)
    assert abs(figures.Margins(even, known=True).held_out()[0]) < 0.04
    here = (even["cell"] == 4) & (even["kind"] == "present")
    skewed = even.assign(margin=even["margin"] - 2 * here)
    assert figures.Margins(skewed, known=True).held_out()[0] > 0.2
