"""The table of a run keeps its figures on every console."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bapa.measure import Run
from bapa.report.terminal import table
from bapa.schemes.shares import brief
from bapa.stats.text import percent
from tests.report.fakes import FLAT, fake_bias

LARGE = np.linspace(0.05, 0.95, 64).reshape(8, 8).tolist()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_figure_is_cut_and_rows_can_be_told_apart(width: int, tmp_path: Path) -> None:
    bias = fake_bias({"native": LARGE, "bapa:distance=native": LARGE}, items=10)
    written = io.StringIO()
    Console(file=written, width=width).print(table(Run(tmp_path, {}, bias)))
    text = written.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for label, scheme in bias["schemes"].items():
        assert any(line.startswith(label) for line in text.splitlines())
        found = scheme["overall"]["auc"]["value"]
        assert percent(found, 1) in text
        first_row = [percent(cell["auc"]["value"]) for cell in scheme["cells"][:8]]
        assert any(line.split()[-8:] == first_row or first_row == line.split()[1:9] for line in text.splitlines())


@pytest.mark.parametrize("width", [40, 200])
def test_thousands_of_shares_are_told_by_their_digest(width: int, tmp_path: Path) -> None:
    long = "bapa:shares=" + "+".join(f"{layer}:{'0f' * 30}" for layer in range(12))
    written = io.StringIO()
    Console(file=written, width=width).print(table(Run(tmp_path, {}, fake_bias({"native": FLAT, long: FLAT}))))
    text = "".join(written.getvalue().split())
    assert "0f0f0f" not in text
    assert brief(long)[-5:] in text
