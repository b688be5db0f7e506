"""The main job end to end, small: probe, two shipped models, three schemes, one report."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bapa.cli.app import app
from bapa.cli.demo import MODELS, SCHEMES
from bapa.measure import load_run
from bapa.report import words

ITEMS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "out"


@pytest.fixture(scope="module")
def said(folder: Path) -> str:
    shown = CliRunner().invoke(app, ["demo", "--out", str(folder), "--items", str(ITEMS)], terminal_width=10_000)
    assert shown.exit_code == 0, shown.output
    return " ".join(shown.stdout.split())


def test_it_measures_both_models_under_all_schemes(folder: Path, said: str) -> None:
    for name in MODELS:
        run = load_run(folder / name)
        assert list(run.bias["schemes"]) == list(SCHEMES)
        assert len(run.answers()) == ITEMS * 9 * 3 * len(SCHEMES)


def test_it_says_what_the_figures_say(folder: Path, said: str) -> None:
    runs = [load_run(folder / name).bias for name in MODELS]
    for sentence in words.summary([(bias["model"]["name"], bias) for bias in runs]):
        assert sentence in said
    assert "report.html" in said


def test_it_shows_the_promise_and_the_limit(folder: Path, said: str) -> None:
    ranges, best = {}, []
    for name in MODELS:
        overall = {label: found["overall"] for label, found in load_run(folder / name).bias["schemes"].items()}
        ranges[name] = {label: found["range"]["value"] for label, found in overall.items()}
        assert ranges[name]["native"] >= 0.4
        assert max(ranges[name][label] for label in SCHEMES[1:]) < ranges[name]["native"]
        best.append(max(overall, key=lambda label: overall[label]["auc"]["value"]))
    assert best == ["bapa", "bapa:distance=native"]


def test_repeated_it_measures_nothing_again(folder: Path, said: str) -> None:
    files = [folder / name / "answers.parquet" for name in MODELS]
    before = [file.stat().st_mtime_ns for file in files]
    again = CliRunner().invoke(app, ["demo", "--out", str(folder), "--items", str(ITEMS)])
    assert again.exit_code == 0
    assert [file.stat().st_mtime_ns for file in files] == before


def test_another_size_needs_another_folder(folder: Path, said: str) -> None:
    refused = CliRunner().invoke(app, ["demo", "--out", str(folder), "--items", str(ITEMS + 1)])
    assert refused.exit_code == 2
    assert "--out" in refused.stderr
