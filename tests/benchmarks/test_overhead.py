"""The overhead benchmark runs through at toy size, and what it says is added is what is added."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import bapa
from tests.tiny import FAMILIES

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="written for the processor's seconds")


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(SCRIPTS)
    import added

    return added


def stepping(name: str) -> tuple[torch.nn.Module, Callable[[], Callable[[], Any]]]:
    family = FAMILIES[name]
    model, inputs = family.build(), family.inputs(["t3", "image", "t4"])
    return model, lambda: lambda: model(**inputs)


def test_it_runs_at_toy_size() -> None:
    command = [sys.executable, SCRIPTS / "overhead.py", "--toy", "--rounds", "2", "--batch", "1", "--steps", "2"]
    place = {**os.environ, "PYTHONPATH": str(SCRIPTS.parent)}
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=place)
    assert found.returncode == 0, found.stderr
    assert len(re.findall(r"ratio \d\.\d{4} \[\d\.\d{4}, \d\.\d{4}\]", found.stdout)) == 4
    assert len(re.findall(r"added: \d+\.\d\d ms, \d+\.\d\d% of the native step", found.stdout)) == 4
    assert found.stdout.count("missing: none; added: ") == 4


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_balancing_leaves_every_native_operation(name: str, added: Any) -> None:
    with torch.inference_mode():
        done = added.ops_added(*stepping(name))
    assert done.native > 50
    assert not done.missing
    assert max(size for _, size in done.added.values()) < 200, "positions are small; features and scores are not"


def test_another_attention_would_show(added: Any) -> None:
    model, step = stepping("llava")
    inner = step()

    def wrong() -> Callable[[], Any]:
        model.set_attn_implementation("sdpa" if bapa.scheme_of(model) is None else "eager")
        return inner

    with torch.inference_mode():
        done = added.ops_added(model, wrong)
    assert any("scaled_dot_product" in name for name in done.missing)
    assert any("softmax" in name for name in done.added)


def test_time_inside_the_hooks_is_seen(added: Any) -> None:
    model, step = stepping("llava")

    def slow() -> Callable[[], Any]:
        attachment = getattr(model.model, "_bapa", None)
        if attachment:
            read = attachment.reader.read

            def burn(*call: Any) -> Any:
                for _ in range(200):
                    torch.ones(100, 100).sum()
                return read(*call)

            attachment.reader.read = burn
        return step()

    with torch.inference_mode():
        plain, burnt = (added.time_added(model, how, 3) for how in (step, slow))
    assert 0 < plain < burnt
