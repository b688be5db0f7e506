"""The commands where vLLM is missing, and options that go with one back end only. Needs no vLLM."""

from __future__ import annotations

import importlib.util

import pytest
from typer.testing import CliRunner

from bapa.cli.app import app
from bapa.probe import Design, build


@pytest.fixture
def without_vllm(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "vllm" else find(name, *more))


@pytest.fixture(scope="module")
def measuring(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    build("digits", folder / "probe", Design(items=1))
    return ["measure", "reference", "--probe", str(folder / "probe"), "--scheme", "bapa", "--out", str(folder / "run")]


def failure(command):
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    return " ".join(result.output.split())


def test_vllm_is_missing(without_vllm, measuring):
    hint = "bapa: vLLM is not installed; pip install 'bapa[vllm]'"
    assert failure(["serve", "reference", "--port", "8000"]).startswith(hint)
    assert failure([*measuring, "--backend", "vllm"]).startswith(hint)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "max_model_len=512"], "--engine max_model_len=512 is for --backend vllm"),
        (["--backend", "vllm", "--device", "cuda"], "--device cuda: vLLM runs on the device it was built for"),
        (["--backend", "vllm", "--engine", "512"], "--engine 512: write NAME=VALUE"),
    ],
)
def test_options_of_the_other_back_end(measuring, options, message):
    assert message in failure([*measuring, *options])
