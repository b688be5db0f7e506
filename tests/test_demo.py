"""The first command end to end: checks of shipped models, offline, with all decisions on one page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bapa.check import load_check
from bapa.cli import demo
from bapa.cli.app import app
from bapa.report import decision

ITEMS = 8
SHIPPED = demo.MODELS
QUICK = ("uniform",)  # its map is even, so that no rule is searched for


def run(folder: Path, *options: str) -> str:
    shown = CliRunner().invoke(app, ["demo", "--out", str(folder), *options], terminal_width=10_000)
    assert shown.exit_code == 0, shown.output
    return " ".join(shown.stdout.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "out"


@pytest.fixture(scope="module")
def said(folder: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "MODELS", QUICK)
        yield run(folder, "--items", str(ITEMS))


def test_it_says_the_decisions_and_puts_them_on_one_page(folder: Path, said: str) -> None:
    page = (folder / "check.html").read_text("utf-8")
    for name in QUICK:
        found = load_check(folder / name)
        assert found.decision is not None
        headline = decision.told(found.evidence, found.decision).headline
        assert headline in said
        assert headline in page
    assert "check.html" in said


def test_repeated_it_asks_nothing_again(folder: Path, said: str) -> None:
    answers = folder / QUICK[0] / "run" / "answers.parquet"
    before = answers.stat().st_mtime_ns
    run(folder, "--items", str(ITEMS))
    assert answers.stat().st_mtime_ns == before


def test_another_size_needs_another_folder(folder: Path, said: str) -> None:
    refused = CliRunner().invoke(app, ["demo", "--out", str(folder), "--items", str(ITEMS + 1)])
    assert refused.exit_code == 2
    assert "--out" in refused.stderr


@pytest.mark.slow
def test_one_model_is_to_be_balanced_and_the_other_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "MODELS", SHIPPED)  # the quick tests' fixture lasts to the end of this file
    run(tmp_path / "out")
    biased, even = (load_check(tmp_path / "out" / name) for name in SHIPPED)
    assert biased.decision is not None
    assert even.decision is not None
    assert (biased.decision.kind, even.decision.kind) == ("balance", "leave")
    assert biased.model_folder is not None
    assert (biased.model_folder / "config.json").is_file()
    assert not (tmp_path / "out" / SHIPPED[1] / "calibrated").exists()  # an even map needs no search
