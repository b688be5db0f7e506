"""Processes that share a run leave one another before they end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SCRIPT = """
import atexit
import os
from pathlib import Path

import torch

# What is registered first runs last.
told = Path(__file__).with_suffix("." + os.environ["RANK"])
atexit.register(lambda: told.write_text("still joined" if torch.distributed.is_initialized() else "left"))

from bapa.inference.processes import Processes

assert Processes(None).first(lambda: 7) == 7
assert torch.distributed.is_initialized()
"""


def test_a_process_leaves_the_others_as_it_ends(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*launch, tmp_path / "script.py"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"script.{rank}").read_text() for rank in range(2)] == ["left", "left"]
