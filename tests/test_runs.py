"""The scripts that reproduce the paper, in miniature on a reference model."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

RUNS = Path(__file__).parents[1] / "runs"
SCRIPTS = sorted(path for path in RUNS.glob("*.sh") if path.name != "settings.sh")
MODELS = ("Qwen2.5-VL-7B", "Qwen2.5-VL-32B", "gemma-3-12b", "llava-v1.6", "llava-next", "llava-1.5")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def run(script: str, out: Path, **more: str) -> None:
    small = {"MODEL": "reference:bottom", "ITEMS": "12", "OUT": str(out), "BAPA": f"{sys.executable} -m bapa"}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **small, **more}
    done = subprocess.run(
        ["bash", str(RUNS / script)], cwd=RUNS.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_script_says_what_it_shows_what_is_published_and_what_it_takes(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"^# (Shows|Published|Hours): \S", text, re.MULTILINE) == ["Shows", "Published", "Hours"]
    assert path.stat().st_mode & 0o111
    assert len(text.splitlines()) < 25
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_all_models_of_the_paper_are_there() -> None:
    text = (RUNS / "all.sh").read_text("utf-8")
    assert all(model in text for model in MODELS)


def test_tuning_asks_for_its_data() -> None:
    environment = {**os.environ, "MODEL": "reference:bottom"}
    environment.pop("DATA", None)
    done = subprocess.run(
        ["bash", str(RUNS / "tuning.sh")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "set DATA to a .json file" in done.stderr


@pytest.mark.slow
def test_probe(out: Path) -> None:
    run("probe.sh", out)
    found = json.loads((out / "run" / "bias.json").read_text("utf-8"))
    assert list(found["schemes"]) == ["native", "bapa"]
    assert found["probe"]["items"] == 12
    assert (out / "run" / "report.html").exists()
    assert (out / "paper" / "overall.tex").exists()


@pytest.mark.slow
def test_controls(out: Path) -> None:
    run("controls.sh", out)
    found = json.loads((out / "controls" / "bias.json").read_text("utf-8"))
    assert list(found["schemes"]) == ["native", "bapa", "reverse", "shuffle", "null"]


@pytest.mark.slow
def test_origin(out: Path) -> None:
    run("origin.sh", out)
    assert (out / "run" / "origin.json").exists()


@pytest.mark.slow
def test_calibrate(out: Path) -> None:
    run("calibrate.sh", out, CALIBRATION_ITEMS="6", HELD_OUT="6")
    assert (out / "calibrated" / "config.json").exists()


@pytest.mark.slow
def test_tuning(out: Path) -> None:
    pytest.importorskip("trl", reason="needs trl: pip install 'bapa[tune]'")
    run("probe.sh", out)
    run("tuning.sh", out, DATA=str(out / "probe"), ROWS="16", EVALUATE_ITEMS="6")
    for scheme in ("native", "bapa"):
        assert json.loads((out / f"tuned-{scheme}" / "tune.json").read_text("utf-8"))["evaluations"]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("lmms_eval") is None, reason="needs lmms-eval: pip install 'bapa[lmms]'")
def test_benchmarks(out: Path) -> None:
    run("benchmarks.sh", out, TASKS=f"probe:{out / 'probe'}")
    assert any((out / "benchmarks").iterdir())


@pytest.mark.slow
def test_all(out: Path, tmp_path: Path) -> None:
    """Two models, one page; its folder lies beside the scripts, so it is made in a copy."""
    import shutil

    shutil.copytree(RUNS, tmp_path / "runs")
    environment = {"MODELS": "reference:bottom reference:top", "ITEMS": "10", "PYTHONPATH": str(RUNS.parent)}
    environment |= {"BAPA": f"{sys.executable} -m bapa", "OMP_NUM_THREADS": "1"}
    subprocess.run([str(tmp_path / "runs" / "all.sh")], env={**os.environ, **environment}, check=True)
    page = (tmp_path / "runs-out" / "report.html").read_text("utf-8")
    assert "reference:bottom" in page
    assert "reference:top" in page
