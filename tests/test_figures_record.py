"""The tables of README and docs are what the kept record of the last `make figures` says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs import figures

PAGES = (figures.README, figures.PAPER)


@pytest.fixture
def kept() -> figures.Record:
    return json.loads(figures.RECORD.read_text("utf-8"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_tables_are_what_the_record_says(path: Path, kept: figures.Record) -> None:
    assert figures.filled(path, kept) == path.read_text("utf-8"), "run: make figures"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_changed_figure_is_seen(path: Path, kept: figures.Record) -> None:
    kept[0]["schemes"]["native"]["hit"]["value"] += 0.001
    assert figures.filled(path, kept) != path.read_text("utf-8")


def test_the_record_is_of_the_models_that_ship(kept: figures.Record) -> None:
    from bapa import reference

    assert {run["model"].removeprefix("reference:") for run in kept} <= set(reference.NAMES)
    assert {tuple(run["schemes"]) for run in kept} == {("native", "bapa", "bapa:distance=native")}
    assert {run["items"] for run in kept} == {200}
