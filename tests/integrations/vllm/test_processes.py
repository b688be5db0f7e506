"""The documented way to many GPUs: ``accelerate launch``, an engine in each process."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm does that")

from bapa.measure import Settings, load_run, measure
from bapa.models import load
from bapa.probe import Design, build


def test_two_processes_merge_without_duplicates(tmp_path):
    probe = build("digits", tmp_path / "probe", Design(items=2))
    expected = measure(
        load("reference:bottom"), probe, ["bapa"], tmp_path / "hf", audit=0, statistics=Settings(resamples=50)
    )
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu", "-m", "bapa"]
    options = "--scheme bapa --batch-size 6 --audit 0 --resamples 50 --backend vllm --dtype float32"
    engine = "--engine enforce_eager=true --engine max_model_len=512"
    command = [*launch, "measure", "reference:bottom", "--probe", str(probe.path), "--out", str(tmp_path / "vllm")]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    subprocess.run([*command, *options.split(), *engine.split()], env=environment, check=True)
    one, two = expected.answers(), load_run(tmp_path / "vllm").answers()
    pd.testing.assert_frame_equal(one.drop(columns=["margin", "mass"]), two.drop(columns=["margin", "mass"]))
    np.testing.assert_allclose(one["margin"], two["margin"], atol=2e-3)
