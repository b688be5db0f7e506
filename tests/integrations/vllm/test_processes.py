"""The documented way to many GPUs: several processes, an engine in each.

On CPUs ``accelerate launch`` starts one process whatever it is asked for, so torchrun, which it calls on GPUs, is
called here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

from bapa.checkpoints import load
from bapa.measure import load_run, measure
from bapa.probe import Design, build
from bapa.stats import Settings
from tests.measure import noting

ROOT = Path(__file__).parents[3]


def test_two_processes_merge_without_duplicates(tmp_path):
    probe = build("digits", tmp_path / "probe", Design(items=2))
    expected = measure(
        load("reference:bottom"), probe, ["bapa"], tmp_path / "hf", audit=0, statistics=Settings(resamples=50)
    )
    notes = tmp_path / "notes"
    notes.mkdir()
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", noting.__file__]
    options = "--scheme bapa --batch-size 6 --audit 0 --backend vllm --dtype float32"
    engine = "--engine enforce_eager=true --engine max_model_len=512"
    command = [*launch, notes, "measure", "reference:bottom", "--probe", probe.path, "--out", tmp_path / "vllm"]
    environment = {
        **{**os.environ, "PYTHONPATH": str(ROOT)},
        **{"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"},
    }
    subprocess.run([*map(str, command), *options.split(), *engine.split()], env=environment, check=True)
    run = load_run(tmp_path / "vllm")
    assert noting.processes(notes) == {"0": {0, 2}, "1": {1}}  # three blocks of six canvases
    one, two = expected.answers(), run.answers()
    assert not two.duplicated(["item", "cell", "question", "scheme"]).any()
    apart = ["margin", "mass", "top"]  # vLLM gives the answers' tokens alone
    pd.testing.assert_frame_equal(one.drop(columns=apart), two.drop(columns=apart))
    np.testing.assert_allclose(one["margin"], two["margin"], atol=2e-3)
