from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bapa.report import tables
from bapa.stats.text import percent
from tests.report.fakes import FLAT, SKEWED, fake_bias


@pytest.fixture(scope="module")
def runs() -> list:
    return [("a_b & c", fake_bias({"native": SKEWED, "bapa": FLAT})), ("two", fake_bias({"native": SKEWED}))]


def test_cells_hold_every_figure_of_every_cell(runs: list) -> None:
    frame = tables.cells(runs)
    bias = runs[0][1]
    for scheme, found in bias["schemes"].items():
        for cell in found["cells"]:
            (row,) = frame[
                (frame["run"] == "a_b & c")
                & (frame["scheme"] == scheme)
                & (frame["row"] == cell["row"] + 1)
                & (frame["column"] == cell["col"] + 1)
                & (frame["quantity"] == "Hit rate")
            ].to_dict("records")
            assert [row["value"], row["low"], row["high"]] == pytest.approx(
                [100 * cell["hit"][key] for key in ("value", "low", "high")], abs=1e-3
            )


def test_tests_hold_every_comparison(runs: list) -> None:
    frame = tables.tests(runs)
    assert len(frame) == len(runs[0][1]["comparisons"])
    assert frame["cell"].notna().sum() == 18
    assert frame["base"].unique().tolist() == ["native"]


def test_latex_is_escaped_and_holds_the_printed_figures(runs: list) -> None:
    text = tables.latex(tables.printed(runs)["overall"])
    assert r"a\_b \& c" in text
    assert r"\toprule" in text
    mean = runs[0][1]["schemes"]["bapa"]["overall"]["hit"]["value"]
    line = next(line for line in text.splitlines() if "Mean hit rate" in line)
    assert f"& {percent(mean, 1)} [" in line
    assert next(line for line in text.splitlines() if line.startswith("two &")).endswith(r"& -- \\")


def test_minus_signs_are_set_as_such() -> None:
    assert tables.latex(pd.DataFrame({"x": ["−2"]})).splitlines()[4] == r"$-$2 \\"


def test_csv_can_be_read_back(runs: list, tmp_path: Path) -> None:
    written = tables.save(runs, tmp_path)
    assert all(path.stat().st_size > 100 for path in written)
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "overall.csv"), tables.overall(runs), check_dtype=False, check_exact=False
    )


def test_a_run_of_one_scheme_has_no_differences_to_draw(runs: list, tmp_path: Path) -> None:
    names = {path.name for path in tables.save(runs[1:], tmp_path)}
    assert "heatmaps.pdf" in names
    assert "differences.pdf" not in names
