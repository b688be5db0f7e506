"""The GPU check runs through at toy size, and says plainly when there is no GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    place = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])}
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False, env=place)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_refuses_in_one_line() -> None:
    found = run()
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr.strip().splitlines()[-1].startswith("no GPU found")


@pytest.mark.slow
def test_every_step_runs_at_toy_size() -> None:
    found = run("--smoke")
    assert found.returncode == 0, found.stderr
    assert found.stdout.count(": ratio ") == 8  # "Generation" has a ratio in it
    assert found.stdout.count("  holds: ") == 4
    assert "FAILS" not in found.stdout
