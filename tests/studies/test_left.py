"""The linear probe reads rows where native positions tell them, and none where all tokens share one position."""

from __future__ import annotations

from pathlib import Path

import pytest

from bapa.checkpoints import load
from studies.where import left


def test_a_shared_position_leaves_no_row_in_any_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left, "ITEMS", 24)
    monkeypatch.setattr(left, "LEADS", ("native", "bapa"))
    found = left.left(load("reference:places"), tmp_path)
    assert max(found["native"]["layers"]) > 0.7
    assert found["native"]["answered"] > 0.7
    assert max(found["bapa"]["layers"]) < 0.45
