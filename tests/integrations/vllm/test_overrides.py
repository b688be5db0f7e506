"""What an engine is told, and what it is not asked to do. Needs no vLLM."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bapa.attach import record
from bapa.errors import ConfigError, IntegrationError, SchemeError, UnsupportedModelError
from bapa.integrations.vllm import engine, server, worker
from bapa.integrations.vllm.overrides import overrides
from bapa.schemes import make, names
from tests.tiny import FAMILIES


def config(name: str):
    made = FAMILIES[name].build().config
    made.architectures = [FAMILIES[name].model_class]  # as save_pretrained writes
    return made


@pytest.fixture(scope="module")
def llava():
    return config("llava")


def test_one_axis(llava):
    told = overrides(llava, "bapa:distance=62")
    assert told == {
        "architectures": ["BapaLlavaForConditionalGeneration"],
        "bapa": {"scheme": "bapa", "options": {"distance": 62}, "version": 1},
        "mrope_section": [8, 0, 0],
    }
    for name, value in json.loads(json.dumps(told)).items():
        setattr(llava, name, value)
    assert record.read(llava) == make("bapa", distance=62)
    assert overrides(llava, "bapa")["architectures"] == told["architectures"]  # of one that is exported balanced


def test_three_axes():
    assert set(overrides(config("qwen2_5_vl"), "spatial_reset")) == {"architectures", "bapa"}


def test_native_takes_a_recorded_scheme_out(llava):
    plain = config("llava")
    assert overrides(plain, "native") == {}
    plain.position_balance = True
    assert overrides(plain, "native") == {"position_balance": None}


@pytest.mark.parametrize("scheme", ["vrope", "pyramid", "agci", "anchored", "circle", "bapa:distance=1.5", "mrope"])
def test_what_positions_cannot_say(scheme):
    with pytest.raises(SchemeError):
        overrides(config("llava"), scheme)


def test_every_other_scheme_is_accepted():
    qwen = config("qwen2_5_vl")
    fractions = {"stride"}  # by default
    refused = {"agci", "anchored", "circle", "cmpc", "imccd", "pyramid", "restore", "sofa", "vrope"} | fractions
    assert all(overrides(qwen, name)["bapa"]["scheme"] == name for name in set(names()) - refused - {"native"})


def test_a_family_without_a_class():
    with pytest.raises(
        UnsupportedModelError, match=r"VipLlavaForConditionalGeneration.* LlavaForConditionalGeneration"
    ):
        overrides(config("vipllava"), "bapa")


@pytest.fixture
def with_vllm(monkeypatch):
    monkeypatch.setattr(engine, "require", lambda: None)


def test_command_of_the_server(with_vllm):
    line = server.command("reference:top", "bapa", ["--port", "8001"])
    assert line[1:3] == ["-m", "vllm.entrypoints.launchers.api_server.entry"]
    options = dict(zip(line[3::2], line[4::2], strict=True))
    assert (Path(options["--model"]) / "config.json").is_file()
    assert json.loads(options["--hf-overrides"])["bapa"]["scheme"] == "bapa"
    assert options["--worker-extension-cls"] == worker.NAME
    assert options["--served-model-name"] == "reference:top"
    assert options["--port"] == "8001"
    assert "--hf-overrides" not in server.command("reference:top", None, [])


@pytest.mark.parametrize("option", ["--hf-overrides", "--hf_overrides={}", "--hf-overrides.bapa.scheme=x"])
def test_options_that_carry_the_scheme_are_ours(with_vllm, option):
    with pytest.raises(ConfigError, match="bapa serve sets this option itself"):
        server.command("reference:top", "bapa", [option])


def test_our_endpoint_is_switched_on_beside_what_was():
    assert server.environment({"VLLM_PLUGINS": "other"})["VLLM_PLUGINS"] == "other,bapa"
    assert "bapa" in server.environment({"HOME": "/"})["VLLM_PLUGINS"].split(",")


@pytest.fixture
def ranked(monkeypatch):
    """A machine of four GPUs with two processes, of which this is the second."""
    monkeypatch.setattr(engine, "visible", lambda: ("2", "3", "5", "7"))
    for name, value in {"WORLD_SIZE": "2", "LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "2,3,5,7"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("each", "own"), [(1, "3"), (2, "5,7")])
def test_a_process_keeps_to_its_own_gpus(ranked, each, own):
    for _ in range(2):  # one engine after the other
        engine.keep_to_own_gpus(each)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == own


def test_too_few_gpus(ranked):
    with pytest.raises(IntegrationError, match="process 1 finds 1 GPUs of the 3 it needs, of 4 in all; start 1"):
        engine.keep_to_own_gpus(3)
